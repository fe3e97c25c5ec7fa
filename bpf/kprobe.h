/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Beginnings and ends of the socket functions, by kprobe and kretprobe. Part of socket.bpf.c. */
#ifndef ALAZ_KPROBE_H
#define ALAZ_KPROBE_H

#include "registers.h"

/*
 * Calls that have begun, by thread. The oldest make room for new ones: a thread that ended in a
 * call leaves its entry behind.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1 << 14);
	__type(key, __u64);
	__type(value, struct call);
} calls SEC(".maps");

static __always_inline __u32 stream_sequence(struct sock *sk, struct call *call)
{
	struct tcp_sock *tcp = KERNEL_POINTER(struct tcp_sock, sk);

	return is_send(call) ? READ(tcp, write_seq) : received_sequence(sk, tcp);
}

/*
 * The thread's last call began and its end was not seen: too many threads were in the function at
 * once for the kernel to catch each return. How far the stream has come since tells how much it
 * moved, unless the socket is another connection by now.
 */
static __always_inline void account_unended(struct call *call)
{
	struct sock *sk = KERNEL_POINTER(struct sock, call->sk);
	__u32 moved;

	/* Of datagrams nothing tells. */
	if (moves_datagrams(call))
		return;
	if (moves_nothing(call->flags) || READ(sk, __sk_common.skc_portpair) != call->port_pair)
		return;
	moved = stream_sequence(sk, call) - call->sequence;
	if (moved)
		count_missed(call->lane, 1, moved);
}

static __always_inline int begin(struct call *call)
{
	struct sock *sk = KERNEL_POINTER(struct sock, call->sk);
	__u64 thread = bpf_get_current_pid_tgid();
	struct call *unended;

	if (thread >> 32 == settings.own_pid)
		return 0;
	unended = bpf_map_lookup_elem(&calls, &thread);
	if (unended)
		account_unended(unended);
	if (!moves_datagrams(call)) {
		call->port_pair = READ(sk, __sk_common.skc_portpair);
		call->sequence = stream_sequence(sk, call);
	}
	bpf_map_update_elem(&calls, &thread, call, BPF_ANY);
	return 0;
}

static __always_inline int end(__u32 lane, __s32 result)
{
	__u64 thread = bpf_get_current_pid_tgid();
	struct call *begun = bpf_map_lookup_elem(&calls, &thread);
	struct call call;

	/* The inner one of two: see on_udp_send_begin. */
	if (begun && lane == LANE_UDP_SEND && begun->lane == LANE_UDP6_SEND)
		return 0;
	if (!begun || begun->lane != lane) {
		if (result <= 0 || thread >> 32 == settings.own_pid)
			return 0;
		if (lane >= LANE_UDP_SEND)
			count_missed_datagrams(lane, 1);
		else
			count_missed(lane, 1, result);
		return 0;
	}
	call = *begun;
	bpf_map_delete_elem(&calls, &thread);
	return record_call(&call, result);
}

SEC("kprobe/tcp_sendmsg")
int on_send_begin(struct pt_regs *regs)
{
	struct call call = {
		.sk = (struct sock *)PARAMETER_1(regs),
		.message = (struct msghdr *)PARAMETER_2(regs),
		.asked = PARAMETER_3(regs),
		.lane = LANE_SEND,
	};

	return begin(&call);
}

SEC("kretprobe/tcp_sendmsg")
int on_send_end(struct pt_regs *regs)
{
	return end(LANE_SEND, RESULT(regs));
}

static __always_inline int begin_receive(struct pt_regs *regs, __u32 lane)
{
	/* Both are read, so that the compiler does not choose an address, which is not allowed. */
	__u32 flags = PARAMETER_4(regs), flags_behind_nonblock = PARAMETER_5(regs);
	struct call call = {
		.sk = (struct sock *)PARAMETER_1(regs),
		.message = (struct msghdr *)PARAMETER_2(regs),
		.asked = PARAMETER_3(regs),
		.lane = lane,
	};

	barrier_var(flags);
	barrier_var(flags_behind_nonblock);
	call.flags = settings.receive_arguments == 6 ? flags_behind_nonblock : flags;

	return begin(&call);
}

SEC("kprobe/tcp_recvmsg")
int on_receive_begin(struct pt_regs *regs)
{
	return begin_receive(regs, LANE_RECEIVE);
}

SEC("kretprobe/tcp_recvmsg")
int on_receive_end(struct pt_regs *regs)
{
	return end(LANE_RECEIVE, RESULT(regs));
}

static __always_inline int begin_datagram(struct pt_regs *regs, __u32 lane)
{
	struct call call = {
		.sk = (struct sock *)PARAMETER_1(regs),
		.message = (struct msghdr *)PARAMETER_2(regs),
		.asked = PARAMETER_3(regs),
		.lane = lane,
	};

	return begin(&call);
}

SEC("kprobe/udp_sendmsg")
int on_udp_send_begin(struct pt_regs *regs)
{
	struct sock *sk = KERNEL_POINTER(struct sock, PARAMETER_1(regs));

	/* udpv6_sendmsg comes here with IPv4 addresses, and is seen itself. */
	if (READ(sk, __sk_common.skc_family) != AF_INET)
		return 0;
	return begin_datagram(regs, LANE_UDP_SEND);
}

SEC("kretprobe/udp_sendmsg")
int on_udp_send_end(struct pt_regs *regs)
{
	return end(LANE_UDP_SEND, RESULT(regs));
}

SEC("kprobe/udpv6_sendmsg")
int on_udp6_send_begin(struct pt_regs *regs)
{
	return begin_datagram(regs, LANE_UDP6_SEND);
}

SEC("kretprobe/udpv6_sendmsg")
int on_udp6_send_end(struct pt_regs *regs)
{
	return end(LANE_UDP6_SEND, RESULT(regs));
}

SEC("kprobe/udp_recvmsg")
int on_udp_receive_begin(struct pt_regs *regs)
{
	return begin_receive(regs, LANE_UDP_RECEIVE);
}

SEC("kretprobe/udp_recvmsg")
int on_udp_receive_end(struct pt_regs *regs)
{
	return end(LANE_UDP_RECEIVE, RESULT(regs));
}

SEC("kprobe/udpv6_recvmsg")
int on_udp6_receive_begin(struct pt_regs *regs)
{
	return begin_receive(regs, LANE_UDP6_RECEIVE);
}

SEC("kretprobe/udpv6_recvmsg")
int on_udp6_receive_end(struct pt_regs *regs)
{
	return end(LANE_UDP6_RECEIVE, RESULT(regs));
}

/* sendfile(2) and splice(2) to a socket, before 6.5; since then they use tcp_sendmsg. */
SEC("kprobe/tcp_sendpage")
int on_send_page_begin(struct pt_regs *regs)
{
	struct call call = { .sk = (struct sock *)PARAMETER_1(regs), .lane = LANE_SEND_PAGE };

	return begin(&call);
}

SEC("kretprobe/tcp_sendpage")
int on_send_page_end(struct pt_regs *regs)
{
	return end(LANE_SEND_PAGE, RESULT(regs));
}

/* splice(2) from a socket. */
SEC("kprobe/tcp_splice_read")
int on_splice_read_begin(struct pt_regs *regs)
{
	struct socket *socket = KERNEL_POINTER(struct socket, PARAMETER_1(regs));
	struct call call = { .sk = READ(socket, sk), .lane = LANE_SPLICE_READ };

	return begin(&call);
}

SEC("kretprobe/tcp_splice_read")
int on_splice_read_end(struct pt_regs *regs)
{
	return end(LANE_SPLICE_READ, RESULT(regs));
}

#endif
