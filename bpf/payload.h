/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Copying the first and last bytes of a call out of the application's buffers. */
#ifndef ALAZ_PAYLOAD_H
#define ALAZ_PAYLOAD_H

#include "shared.h"

/* Buffers of one vectored call that are looked at; bytes in later ones are only counted. */
#define VECTOR_MAX 64

/* How the bytes of a call lie in the application's memory. */
enum payload_shape {
	/* Not at all: they came from a file, or were dropped (MSG_TRUNC, tcp(7)). */
	PAYLOAD_NONE,
	/* They should be, but it could not be told where. */
	PAYLOAD_LOST,
	PAYLOAD_BUFFER,
	/* A list of buffers, itself in the application's memory. */
	PAYLOAD_VECTOR,
	/* The same in the kernel's memory. */
	PAYLOAD_KERNEL_VECTOR,
	/* A message (sendmsg(2)) that names such a list. */
	PAYLOAD_MESSAGE,
};

struct payload {
	__u32 shape;
	/* Of the buffers in a list. */
	__u32 count;
	/* Address of the buffer, list or message. */
	__u64 base;
	/* Bytes at the start of the first buffer of a list that are not this call's. */
	__u64 skip;
};

/* One segment while it is put together. */
struct segment_scratch {
	/* Ends in the record of the call, which is a segment's whole record. */
	struct datagram_record datagram;
	/* Twice the head, so that the verifier sees room for any head behind any offset. */
	__u8 bytes[2 * HEAD_MAX];
	/*
	 * Where a walk over buffers stands: bytes passed, and the last buffer that had some. Kept
	 * in memory rather than in registers: the verifier then sees every turn of the loop as the
	 * same state and walks it once.
	 */
	__u64 passed;
	__u64 last_base;
	__u64 last_length;
	/* Its number. */
	__u32 last_index;
	struct payload payload;
	/* The kernel's description of the call (message.h). */
	__u64 message;
	/* What the same call moved behind this segment. */
	__u64 behind;
	/* Of a call that is told in parts, what has not been told. */
	__u64 left;
	/* Datagrams: where the caller names the other side, if it does. */
	__u64 peer;
	__u32 peer_is_kernels;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, MOVING_LANES);
	__type(key, __u32);
	__type(value, struct segment_scratch);
} segment_scratch SEC(".maps");

static __always_inline struct segment_scratch *own_scratch(__u32 lane)
{
	return bpf_map_lookup_elem(&segment_scratch, &lane);
}

/*
 * Receiving that leaves the stream where it is: a look at it, the urgent byte beside it, and what
 * is not of it at all (recv(2)).
 */
static __always_inline bool moves_nothing(__u32 flags)
{
	return flags & (MSG_PEEK | MSG_OOB | MSG_ERRQUEUE);
}

/* Returns false when a page was not there. */
static __always_inline bool copy_buffer(struct segment_scratch *scratch, __u64 base)
{
	struct segment_record *record = &scratch->datagram.call;
	__u32 length = record->length;
	__u32 head = length < HEAD_MAX ? length : HEAD_MAX;
	__u32 tail;

	/* The verifier must see the bound on the very register that the helper gets. */
	barrier_var(head);
	if (head > HEAD_MAX)
		return false;
	if (bpf_probe_read_user(scratch->bytes, head, (void *)base))
		return false;
	record->head_length = head;
	if (length <= HEAD_MAX)
		return true;

	tail = length - HEAD_MAX;
	if (tail > TAIL_MAX)
		tail = TAIL_MAX;
	barrier_var(tail);
	if (tail > TAIL_MAX)
		return false;
	if (bpf_probe_read_user(scratch->bytes + HEAD_MAX, tail, (void *)(base + length - tail)))
		return false;
	record->tail_length = tail;
	return true;
}

/* One buffer of a vectored call; the head ends at the first byte left out, so it has no holes. */
static __always_inline bool copy_part(struct segment_scratch *scratch, struct user_iovec *part,
				      __u32 index)
{
	struct segment_record *record = &scratch->datagram.call;
	__u32 offset = record->head_length;
	__u64 left = record->length - scratch->passed;
	__u64 here = part->length < left ? part->length : left;
	__u32 take = here < HEAD_MAX ? here : HEAD_MAX;

	if (here == 0)
		return true;
	if (offset == scratch->passed && offset < HEAD_MAX) {
		if (take > HEAD_MAX - offset)
			take = HEAD_MAX - offset;
		barrier_var(take);
		barrier_var(offset);
		if (take > HEAD_MAX || offset > HEAD_MAX)
			return false;
		if (bpf_probe_read_user(scratch->bytes + offset, take, (void *)part->base))
			return false;
		record->head_length = offset + take;
	}
	scratch->passed += here;
	scratch->last_base = part->base;
	scratch->last_length = here;
	scratch->last_index = index;
	return true;
}

/* The end of the buffer that holds the last byte, as far as the head did not reach. */
static __always_inline bool copy_last(struct segment_scratch *scratch)
{
	struct segment_record *record = &scratch->datagram.call;
	__u32 offset = record->head_length;
	__u32 tail = record->length - offset;

	if (tail > TAIL_MAX)
		tail = TAIL_MAX;
	if (tail > scratch->last_length)
		tail = scratch->last_length;
	barrier_var(tail);
	barrier_var(offset);
	if (tail > TAIL_MAX || offset > HEAD_MAX)
		return false;
	if (bpf_probe_read_user(scratch->bytes + offset, tail,
				(void *)(scratch->last_base + scratch->last_length - tail)))
		return false;
	record->tail_length = tail;
	return true;
}

static __always_inline bool copy_vector(struct segment_scratch *scratch)
{
	struct payload *payload = &scratch->payload;
	__u32 i;

	scratch->passed = 0;
	for (i = 0; i < VECTOR_MAX; i++) {
		struct user_iovec part;
		void *from = (void *)(payload->base + i * sizeof(part));
		long failed;

		if (i >= payload->count || scratch->passed >= scratch->datagram.call.length)
			break;
		if (payload->shape == PAYLOAD_KERNEL_VECTOR)
			failed = bpf_probe_read_kernel(&part, sizeof(part), from);
		else
			failed = bpf_probe_read_user(&part, sizeof(part), from);
		if (failed)
			return false;
		if (i == 0) {
			part.base += payload->skip;
			part.length -= payload->skip;
		}
		if (!copy_part(scratch, &part, i))
			return false;
	}
	if (scratch->passed < scratch->datagram.call.length ||
	    scratch->datagram.call.head_length == scratch->datagram.call.length)
		return true;
	return copy_last(scratch);
}

static __always_inline bool copy_payload(struct segment_scratch *scratch)
{
	struct payload *payload = &scratch->payload;
	struct {
		__u64 vector;
		__u64 length;
	} list;

	switch (payload->shape) {
	case PAYLOAD_NONE:
		return true;
	case PAYLOAD_BUFFER:
		return copy_buffer(scratch, payload->base);
	case PAYLOAD_MESSAGE:
		if (bpf_probe_read_user(&list, sizeof(list),
					&((struct user_msghdr *)payload->base)->vector))
			return false;
		payload->shape = PAYLOAD_VECTOR;
		payload->base = list.vector;
		payload->count = list.length;
		return copy_vector(scratch);
	case PAYLOAD_VECTOR:
	case PAYLOAD_KERNEL_VECTOR:
		return copy_vector(scratch);
	default:
		return false;
	}
}

/* What was copied lies behind; the payload is what follows. */
static __always_inline void advance_payload(struct segment_scratch *scratch)
{
	struct payload *payload = &scratch->payload;
	__u32 index = scratch->last_index;

	if (payload->shape == PAYLOAD_BUFFER) {
		payload->base += scratch->datagram.call.length;
		return;
	}
	if (payload->shape != PAYLOAD_VECTOR && payload->shape != PAYLOAD_KERNEL_VECTOR)
		return;
	/* There were more buffers than are looked at. */
	if (scratch->passed < scratch->datagram.call.length) {
		payload->shape = PAYLOAD_LOST;
		return;
	}
	payload->skip = scratch->last_length + (index == 0 ? payload->skip : 0);
	payload->base += index * sizeof(struct user_iovec);
	payload->count -= index;
}

#endif
