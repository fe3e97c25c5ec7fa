/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Which system calls move bytes on sockets, and where their arguments are when they end. */
#ifndef ALAZ_SYSCALLS_H
#define ALAZ_SYSCALLS_H

#include "payload.h"

struct call {
	__u32 descriptor;
	__u32 direction;
	__u32 shape;
	__u64 payload;
	__u64 count;
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
#define CALL_NUMBER(regs) ((regs)->orig_ax)
#define ARGUMENT_1(regs) ((regs)->di)
#define ARGUMENT_2(regs) ((regs)->si)
#define ARGUMENT_3(regs) ((regs)->dx)
#define ARGUMENT_4(regs) ((regs)->r10)
/* 32-bit callers number their calls differently; __USER32_CS, arch/x86/include/asm/segment.h */
#define IS_32_BIT(regs) ((regs)->cs == 0x23)
#elif defined(__TARGET_ARCH_arm64)
/* include/uapi/asm-generic/unistd.h */
#define CALL_READ 63
#define CALL_WRITE 64
#define CALL_READV 65
#define CALL_WRITEV 66
#define CALL_SENDFILE 71
#define CALL_SENDTO 206
#define CALL_RECVFROM 207
#define CALL_SENDMSG 211
#define CALL_RECVMSG 212
#define CALL_NUMBER(regs) ((regs)->syscallno)
#define ARGUMENT_1(regs) ((regs)->orig_x0)
#define ARGUMENT_2(regs) ((regs)->regs[1])
#define ARGUMENT_3(regs) ((regs)->regs[2])
#define ARGUMENT_4(regs) ((regs)->regs[3])
/* PSR_MODE32_BIT, arch/arm64/include/uapi/asm/ptrace.h */
#define IS_32_BIT(regs) ((regs)->pstate & 0x10)
#else
#error "Alaz knows the system calls of x86-64 and arm64 only"
#endif

/* Fills in the call; false when it is none of those, or moved no bytes of the stream. */
static __always_inline bool socket_call(struct pt_regs *regs, struct call *call)
{
	__u32 flags = 0;

	call->count = 0;
	call->shape = PAYLOAD_BUFFER;
	switch (CALL_NUMBER(regs)) {
	case CALL_READ:
		call->direction = DIRECTION_RECEIVE;
		break;
	case CALL_WRITE:
	case CALL_SENDTO:
		call->direction = DIRECTION_SEND;
		break;
	case CALL_RECVFROM:
		call->direction = DIRECTION_RECEIVE;
		flags = ARGUMENT_4(regs);
		break;
	case CALL_READV:
		call->direction = DIRECTION_RECEIVE;
		call->shape = PAYLOAD_VECTOR;
		call->count = ARGUMENT_3(regs);
		break;
	case CALL_WRITEV:
		call->direction = DIRECTION_SEND;
		call->shape = PAYLOAD_VECTOR;
		call->count = ARGUMENT_3(regs);
		break;
	case CALL_SENDMSG:
		call->direction = DIRECTION_SEND;
		call->shape = PAYLOAD_MESSAGE;
		break;
	case CALL_RECVMSG:
		call->direction = DIRECTION_RECEIVE;
		call->shape = PAYLOAD_MESSAGE;
		flags = ARGUMENT_3(regs);
		break;
	case CALL_SENDFILE:
		call->direction = DIRECTION_SEND;
		call->shape = PAYLOAD_NONE;
		break;
	default:
		return false;
	}
	/* Peeking moves nothing. */
	if (flags & MSG_PEEK || IS_32_BIT(regs))
		return false;
	/* Truncating drops the bytes without copying them (tcp(7)). */
	if (flags & MSG_TRUNC)
		call->shape = PAYLOAD_NONE;
	call->descriptor = ARGUMENT_1(regs);
	call->payload = ARGUMENT_2(regs);
	return true;
}

#endif
