/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Where the bytes of a call are, by the kernel's own description of it. */
#ifndef ALAZ_MESSAGE_H
#define ALAZ_MESSAGE_H

#include "payload.h"

#define ITERATOR(member) READ(message, msg_iter.member)

static __always_inline __u32 iterator_type(struct msghdr *message)
{
	struct iov_iter___before_5_14 *before;

	if (bpf_core_field_exists(message->msg_iter.iter_type))
		return ITERATOR(iter_type);
	before = (void *)&message->msg_iter;
	return BPF_CORE_READ(before, type) & ~1;
}

static __always_inline struct user_iovec *iterator_vector(struct msghdr *message)
{
	if (bpf_core_field_exists(message->msg_iter.__iov))
		return (struct user_iovec *)ITERATOR(__iov);
	return (struct user_iovec *)ITERATOR(iov);
}

/*
 * The iterator stands behind the last byte. Walks back over its buffers to the first one: the list
 * stays whole while the call runs. It would cost more to keep the beginning of every call until its
 * end.
 */
static __always_inline bool walk_back(struct payload *payload, struct user_iovec *current,
				      __u64 offset, __u64 length)
{
	__u64 left = length - offset;
	__u64 here;
	__u32 i;

	for (i = 1; i <= UIO_MAXIOV; i++) {
		current--;
		if (bpf_probe_read_kernel(&here, sizeof(here), &current->length))
			return false;
		if (here >= left) {
			payload->base = (__u64)current;
			payload->skip = here - left;
			/* The one it stands in has some too. */
			payload->count = i + (offset > 0);
			return true;
		}
		left -= here;
	}
	return false;
}

/*
 * Tells the lane's scratch where the bytes of a call lie that was asked to move `asked` and moved
 * `length`. An iterator that does not show so has been used by someone else as well, and cannot
 * tell. Global for the same reason as record_segment; the message stands in the scratch.
 */
__noinline int describe(__u32 lane, __u64 asked, __u32 length)
{
	struct segment_scratch *scratch = own_scratch(lane);
	struct payload *payload;
	struct msghdr *message;
	__u64 offset;
	__u32 type;

	if (!scratch)
		return 0;
	message = KERNEL_POINTER(struct msghdr, scratch->message);
	type = iterator_type(message);
	offset = ITERATOR(iov_offset);
	payload = &scratch->payload;
	payload->count = 0;
	payload->skip = 0;
	payload->shape = PAYLOAD_LOST;
	if (bpf_core_enum_value_exists(enum iter_type, ITER_UBUF) &&
	    type == bpf_core_enum_value(enum iter_type, ITER_UBUF)) {
		if (asked - ITERATOR(count) != length || offset < length)
			return 0;
		payload->shape = PAYLOAD_BUFFER;
		payload->base = (__u64)ITERATOR(ubuf) + offset - length;
		return 0;
	}
	if (type != bpf_core_enum_value(enum iter_type, ITER_IOVEC)) {
		/* Pages or memory of the kernel's: a file that is sent, a sender of its own. */
		payload->shape = PAYLOAD_NONE;
		return 0;
	}
	if (asked - ITERATOR(count) != length)
		return 0;
	if (offset >= length) {
		payload->base = (__u64)iterator_vector(message);
		payload->skip = offset - length;
		payload->count = 1;
	} else if (!walk_back(payload, iterator_vector(message), offset, length)) {
		return 0;
	}
	payload->shape = PAYLOAD_KERNEL_VECTOR;
	return 0;
}

#endif
