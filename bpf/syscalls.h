/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Which system calls move bytes on sockets, and where their arguments are when they end. */
#ifndef ALAZ_SYSCALLS_H
#define ALAZ_SYSCALLS_H

#include "payload.h"

struct call {
	__u32 descriptor;
	/* Where the caller names the other side of a datagram. */
	__u64 peer;
	/* Calls from one descriptor to another: the one that is sent to, when it is a socket. */
	__s32 target;
	__u32 direction;
	/* It moved several messages, and its result is their number. */
	bool is_many;
	struct payload payload;
};

#if defined(__TARGET_ARCH_x86)
/* arch/x86/entry/syscalls/syscall_64.tbl */
#define CALL_READ 0
#define CALL_WRITE 1
#define CALL_READV 19
#define CALL_WRITEV 20
#define CALL_SENDFILE 40
#define CALL_SENDTO 44
#define CALL_RECVFROM 45
#define CALL_SENDMSG 46
#define CALL_RECVMSG 47
#define CALL_RECVMMSG 299
#define CALL_SENDMMSG 307
#define CALL_PREADV2 327
#define CALL_PWRITEV2 328
#define CALL_SPLICE 275
#define CALL_NUMBER(regs) READ(regs, orig_ax)
#define ARGUMENT_1(regs) READ(regs, di)
#define ARGUMENT_2(regs) READ(regs, si)
#define ARGUMENT_3(regs) READ(regs, dx)
#define ARGUMENT_4(regs) READ(regs, r10)
#define ARGUMENT_5(regs) READ(regs, r8)
/* 32-bit callers number their calls differently; __USER32_CS, arch/x86/include/asm/segment.h */
#define IS_32_BIT(regs) (READ(regs, cs) == 0x23)
#elif defined(__TARGET_ARCH_arm64)
/* include/uapi/asm-generic/unistd.h */
#define CALL_READ 63
#define CALL_WRITE 64
#define CALL_READV 65
#define CALL_WRITEV 66
#define CALL_SENDFILE 71
#define CALL_SPLICE 76
#define CALL_SENDTO 206
#define CALL_RECVFROM 207
#define CALL_SENDMSG 211
#define CALL_RECVMSG 212
#define CALL_RECVMMSG 243
#define CALL_SENDMMSG 269
#define CALL_PREADV2 286
#define CALL_PWRITEV2 287
#define CALL_NUMBER(regs) READ(regs, syscallno)
#define ARGUMENT_1(regs) READ(regs, orig_x0)
#define ARGUMENT_2(regs) READ(regs, regs[1])
#define ARGUMENT_3(regs) READ(regs, regs[2])
#define ARGUMENT_4(regs) READ(regs, regs[3])
#define ARGUMENT_5(regs) READ(regs, regs[4])
/* PSR_MODE32_BIT, arch/arm64/include/uapi/asm/ptrace.h */
#define IS_32_BIT(regs) (READ(regs, pstate) & 0x10)
#else
#error "Alaz knows the system calls of x86-64 and arm64 only"
#endif

/* Fills in the call; false when it is none of those, or moved no bytes of the stream. */
static __always_inline bool socket_call(struct pt_regs *regs, struct call *call)
{
	__u32 flags = 0;

	call->payload.count = 0;
	call->payload.skip = 0;
	call->payload.shape = PAYLOAD_BUFFER;
	call->descriptor = ARGUMENT_1(regs);
	call->target = -1;
	call->peer = 0;
	call->is_many = false;
	switch (CALL_NUMBER(regs)) {
	case CALL_READ:
		call->direction = DIRECTION_RECEIVE;
		break;
	case CALL_WRITE:
		call->direction = DIRECTION_SEND;
		break;
	case CALL_SENDTO:
		call->direction = DIRECTION_SEND;
		call->peer = ARGUMENT_5(regs);
		break;
	case CALL_RECVFROM:
		call->direction = DIRECTION_RECEIVE;
		call->peer = ARGUMENT_5(regs);
		flags = ARGUMENT_4(regs);
		break;
	case CALL_READV:
	case CALL_PREADV2:
		call->direction = DIRECTION_RECEIVE;
		call->payload.shape = PAYLOAD_VECTOR;
		call->payload.count = ARGUMENT_3(regs);
		break;
	case CALL_WRITEV:
	case CALL_PWRITEV2:
		call->direction = DIRECTION_SEND;
		call->payload.shape = PAYLOAD_VECTOR;
		call->payload.count = ARGUMENT_3(regs);
		break;
	case CALL_SENDMSG:
		call->direction = DIRECTION_SEND;
		call->payload.shape = PAYLOAD_MESSAGE;
		break;
	case CALL_RECVMSG:
		call->direction = DIRECTION_RECEIVE;
		call->payload.shape = PAYLOAD_MESSAGE;
		flags = ARGUMENT_3(regs);
		break;
	case CALL_SENDMMSG:
		call->direction = DIRECTION_SEND;
		call->payload.shape = PAYLOAD_MESSAGE;
		call->is_many = true;
		break;
	case CALL_RECVMMSG:
		call->direction = DIRECTION_RECEIVE;
		call->payload.shape = PAYLOAD_MESSAGE;
		call->is_many = true;
		flags = ARGUMENT_4(regs);
		break;
	case CALL_SENDFILE:
		call->direction = DIRECTION_SEND;
		call->payload.shape = PAYLOAD_NONE;
		break;
	case CALL_SPLICE:
		call->direction = DIRECTION_RECEIVE;
		call->payload.shape = PAYLOAD_NONE;
		call->target = ARGUMENT_3(regs);
		break;
	default:
		return false;
	}
	if (moves_nothing(flags) || IS_32_BIT(regs))
		return false;
	if (flags & MSG_TRUNC)
		call->payload.shape = PAYLOAD_NONE;
	call->payload.base = ARGUMENT_2(regs);
	return true;
}

#endif
