/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The ends of the socket functions, by fexit. Part of socket.bpf.c.
 *
 * Where threads can be preempted in a program, the kernel skips it meanwhile for all others on that
 * CPU: there, kprobes come first.
 */
#ifndef ALAZ_FEXIT_H
#define ALAZ_FEXIT_H

SEC("fexit/tcp_sendmsg")
int BPF_PROG(on_send, struct sock *sk, struct msghdr *message, size_t asked, int result)
{
	struct call call = { .sk = sk, .message = message, .asked = asked, .lane = LANE_SEND };

	return record_call(&call, result);
}

static __always_inline int record_receive(__u64 *arguments, __u32 lane)
{
	struct call call = {
		.sk = (struct sock *)arguments[0],
		.message = (struct msghdr *)arguments[1],
		.asked = arguments[2],
		.lane = lane,
	};
	int result;

	/* The barriers keep the compiler from choosing an address and reading once: not allowed. */
	if (settings.receive_arguments == 6) {
		call.flags = arguments[4];
		result = arguments[6];
		barrier_var(result);
	} else if (settings.receive_arguments == 5) {
		call.flags = arguments[3];
		result = arguments[5];
		barrier_var(call.flags);
	} else {
		call.flags = arguments[3];
		result = arguments[4];
	}
	return record_call(&call, result);
}

SEC("fexit/tcp_recvmsg")
int on_receive(__u64 *arguments)
{
	return record_receive(arguments, LANE_RECEIVE);
}

SEC("fexit/udp_sendmsg")
int BPF_PROG(on_udp_send, struct sock *sk, struct msghdr *message, size_t asked, int result)
{
	struct call call = { .sk = sk, .message = message, .asked = asked, .lane = LANE_UDP_SEND };

	/* udpv6_sendmsg comes here with IPv4 addresses, and is seen itself. */
	if (READ(KERNEL_POINTER(struct sock, sk), __sk_common.skc_family) != AF_INET)
		return 0;
	return record_call(&call, result);
}

SEC("fexit/udpv6_sendmsg")
int BPF_PROG(on_udp6_send, struct sock *sk, struct msghdr *message, size_t asked, int result)
{
	struct call call = { .sk = sk, .message = message, .asked = asked, .lane = LANE_UDP6_SEND };

	return record_call(&call, result);
}

SEC("fexit/udp_recvmsg")
int on_udp_receive(__u64 *arguments)
{
	return record_receive(arguments, LANE_UDP_RECEIVE);
}

SEC("fexit/udpv6_recvmsg")
int on_udp6_receive(__u64 *arguments)
{
	return record_receive(arguments, LANE_UDP6_RECEIVE);
}

/* sendfile(2) and splice(2) to a socket, before 6.5; since then they use tcp_sendmsg. */
SEC("fexit/tcp_sendpage")
int BPF_PROG(on_send_page, struct sock *sk, void *page, int offset, size_t size, int flags,
	     int result)
{
	struct call call = { .sk = sk, .lane = LANE_SEND_PAGE };

	return record_call(&call, result);
}

/* splice(2) from a socket. */
SEC("fexit/tcp_splice_read")
int BPF_PROG(on_splice_read, struct socket *socket, void *offset, void *pipe, size_t length,
	     unsigned int flags, long result)
{
	struct call call = { .sk = READ(KERNEL_POINTER(struct socket, socket), sk),
			     .lane = LANE_SPLICE_READ };

	return record_call(&call, result);
}

#endif
