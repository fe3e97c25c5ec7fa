// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * TCP and UDP by syscall tracepoints, for kernels that allow no hook nearer to the sockets (socket.bpf.c).
 *
 * All work is done when a call ends: its arguments are still in the saved registers, the result
 * says how much really moved, and readers that were blocked before we came are seen too. A hook on
 * the beginning of calls would cost every process again as much.
 */
#include "segment.h"
#include "datagram.h"
#include "syscalls.h"

/*
 * Something between the calls and the stream, TLS in the kernel for one: what the calls move is not
 * what the connection carries.
 */
static __always_inline bool is_layered(struct sock *sk)
{
	struct inet_connection_sock *connection = KERNEL_POINTER(struct inet_connection_sock, sk);

	return READ(connection, icsk_ulp_ops);
}

/* The TCP or UDP socket behind a descriptor of this process; NULL for files, pipes and all else. */
static __always_inline struct sock *internet_socket(__u32 descriptor)
{
	struct task_struct *task = CURRENT_TASK();
	struct files_struct *files = READ(task, files);
	struct fdtable *table = READ(files, fdt);
	struct file **slots = READ(table, fd);
	void *pointer = 0;
	struct file *file;
	struct inode *inode;
	struct socket *socket;
	struct sock *sk;
	__u16 family, protocol;

	if (descriptor >= READ(table, max_fds))
		return 0;
	bpf_probe_read_kernel(&pointer, sizeof(pointer), slots + descriptor);
	if (!pointer)
		return 0;
	file = KERNEL_POINTER(struct file, pointer);
	inode = READ(file, f_inode);
	if ((READ(inode, i_mode) & S_IFMT) != S_IFSOCK)
		return 0;
	socket = KERNEL_POINTER(struct socket, READ(file, private_data));
	sk = READ(socket, sk);
	if (!sk)
		return 0;
	family = READ(sk, __sk_common.skc_family);
	if (family != AF_INET && family != AF_INET6)
		return 0;
	protocol = READ(sk, sk_protocol);
	if (protocol == IPPROTO_TCP)
		return is_layered(sk) ? 0 : sk;
	return protocol == IPPROTO_UDP ? sk : 0;
}

/* Messages of one call that are looked at one by one; the rest is one segment, only counted. */
#define MESSAGES_MAX 16
/* Of a call that moved more, none can be placed: they are missed. */
#define MESSAGES_PLACED_MAX 256

static __always_inline __u32 length_of_message(__u64 messages, __u32 index)
{
	struct user_mmsghdr *message = (struct user_mmsghdr *)messages + index;
	__u32 length = 0;

	bpf_probe_read_user(&length, sizeof(length), &message->length);
	return length;
}

/*
 * The first began as far back as all are long. What is left of that sum is kept in memory for the
 * verifier's sake (payload.h).
 */
static __always_inline int record_messages(struct segment_scratch *scratch, struct call *call,
					   __u64 thread, __u32 number)
{
	__u64 messages = call->payload.base;
	__u32 i;

	scratch->behind = 0;
	if (number > MESSAGES_PLACED_MAX) {
		count_missed(LANE_SEND, number, 0);
		return 0;
	}
	for (i = 0; i < MESSAGES_PLACED_MAX && i < number; i++)
		scratch->behind += length_of_message(messages, i);
	for (i = 0; i < MESSAGES_MAX && i < number; i++) {
		__u32 length = length_of_message(messages, i);

		if (length == 0 || length > scratch->behind)
			continue;
		scratch->behind -= length;
		scratch->payload = call->payload;
		scratch->payload.base = messages + i * sizeof(struct user_mmsghdr);
		record_segment(LANE_SEND, thread, call->direction, length);
	}
	if (scratch->behind > 0) {
		__u32 rest = scratch->behind;

		scratch->behind = 0;
		scratch->payload.shape = PAYLOAD_NONE;
		record_segment(LANE_SEND, thread, call->direction, rest);
	}
	return 0;
}

/* The name in a message (sendmsg(2)). */
static __always_inline __u64 peer_of(struct payload *payload)
{
	__u64 name = 0;

	bpf_probe_read_user(&name, sizeof(name), (void *)payload->base);
	return name;
}

/* Global for the same reason as record_segment. */
__noinline int record_datagrams(__u64 messages, __u64 thread, __u32 direction, __u32 number,
				__u32 shape)
{
	struct segment_scratch *scratch = own_scratch(LANE_SEND);
	__u32 i;

	if (!scratch)
		return 0;
	scratch->peer_is_kernels = 0;
	for (i = 0; i < MESSAGES_MAX && i < number; i++) {
		scratch->payload.shape = shape;
		scratch->payload.skip = 0;
		scratch->payload.base = messages + i * sizeof(struct user_mmsghdr);
		scratch->peer = peer_of(&scratch->payload);
		record_datagram(LANE_SEND, thread, direction, length_of_message(messages, i));
	}
	if (number > MESSAGES_MAX)
		count_missed_datagrams(LANE_SEND, number - MESSAGES_MAX);
	return 0;
}

static __always_inline int record_one_datagram(struct segment_scratch *scratch, struct call *call,
					       __u64 thread, __u32 length)
{
	scratch->payload = call->payload;
	scratch->peer = call->payload.shape == PAYLOAD_MESSAGE ? peer_of(&call->payload) : call->peer;
	scratch->peer_is_kernels = 0;
	return record_datagram(LANE_SEND, thread, call->direction, length);
}

static __always_inline int record_call(struct pt_regs *regs, long result)
{
	struct segment_scratch *scratch;
	struct call call;
	struct sock *sk;
	__u64 thread;

	if (result <= 0)
		return 0;
	if (!socket_call(regs, &call))
		return 0;
	thread = bpf_get_current_pid_tgid();
	if (thread >> 32 == settings.own_pid)
		return 0;
	sk = internet_socket(call.descriptor);
	if (!sk && call.target >= 0) {
		sk = internet_socket(call.target);
		call.direction = DIRECTION_SEND;
	}
	scratch = own_scratch(LANE_SEND);
	if (!sk || !scratch)
		return 0;
	scratch->datagram.call.key.socket = (__u64)sk;
	if (READ(sk, sk_protocol) == IPPROTO_UDP)
		return call.is_many ? record_datagrams(call.payload.base, thread, call.direction,
						       result, call.payload.shape)
				    : record_one_datagram(scratch, &call, thread, result);
	if (call.is_many)
		return record_messages(scratch, &call, thread, result);
	scratch->behind = 0;
	scratch->payload = call.payload;
	return record_segment(LANE_SEND, thread, call.direction, result);
}

TRACEPOINT("sys_exit")
int BPF_PROG(on_call_end, struct pt_regs *regs, long result)
{
	return record_call(regs, result);
}

#ifdef DIRECT_READS
/*
 * Instead of it where threads can be preempted in it: while one is, the kernel skips the program for
 * all others on that CPU. In the older kind of tracepoint, which costs more, none is.
 */
SEC("tracepoint/raw_syscalls/sys_exit")
int on_call_end_held(struct trace_event_raw_sys_exit *event)
{
	return record_call((struct pt_regs *)bpf_task_pt_regs(bpf_get_current_task_btf()), event->ret);
}
#endif
