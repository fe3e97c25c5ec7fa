// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * TCP and UDP at the socket layer: every call that moves bytes, whichever system call it came by (io_uring
 * and senders inside the kernel included), and no call that does not.
 *
 * Built twice. With FEXIT the programs are called by the functions' own code when they return, and
 * get the arguments as well. Otherwise by kprobes: the arguments are kept from the beginning to the
 * end of a call.
 */
#include "segment.h"
#include "datagram.h"
#include "message.h"

/* Of one call: what its end needs to know from its beginning. */
struct call {
	struct sock *sk;
	struct msghdr *message;
	__u64 asked;
	/* Which function it is in. */
	__u32 lane;
	__u32 flags;
#ifndef FEXIT
	/* Which connection it was, and how far its stream had come. */
	__u32 port_pair;
	__u32 sequence;
#endif
};

static __always_inline bool is_send(struct call *call)
{
	return call->lane == LANE_SEND || call->lane == LANE_SEND_PAGE ||
	       call->lane == LANE_UDP_SEND || call->lane == LANE_UDP6_SEND;
}

static __always_inline bool moves_datagrams(struct call *call)
{
	return call->lane >= LANE_UDP_SEND;
}

/* The thread that makes the call; the kernel's own threads are no process. */
static __always_inline __u64 caller(void)
{
	struct task_struct *task = CURRENT_TASK();

	return READ(task, flags) & PF_KTHREAD ? 0 : bpf_get_current_pid_tgid();
}

static __always_inline int record_call(struct call *call, __s32 result)
{
	__u32 direction = is_send(call) ? DIRECTION_SEND : DIRECTION_RECEIVE;
	struct segment_scratch *scratch;
	__u64 thread;

	if (result <= 0 || moves_nothing(call->flags))
		return 0;
	thread = caller();
	if (thread >> 32 == settings.own_pid)
		return 0;
	scratch = own_scratch(call->lane);
	if (!scratch)
		return 0;
	scratch->datagram.call.key.socket = (__u64)call->sk;
	scratch->message = (__u64)call->message;
	scratch->behind = 0;
	scratch->payload.shape = PAYLOAD_NONE;
	if (call->message && !(call->flags & MSG_TRUNC))
		describe(call->lane, call->asked, result);
	if (moves_datagrams(call)) {
		struct msghdr *message = KERNEL_POINTER(struct msghdr, call->message);

		scratch->peer = (__u64)READ(message, msg_name);
		scratch->peer_is_kernels = 1;
		return record_datagram(call->lane, thread, direction, result);
	}
	return record_segment(call->lane, thread, direction, result);
}

#ifdef FEXIT
#include "fexit.h"
#else
#include "kprobe.h"
#endif
