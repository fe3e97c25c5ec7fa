/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Which connection a call of a TLS library is about: the one on which its own thread makes socket
 * calls before it returns.
 */
#ifndef ALAZ_TLS_H
#define ALAZ_TLS_H

#include "shared.h"

/* What one direction of a connection moved during a call, as positions in the ciphertext. */
struct carried {
	__u64 first;
	/* Behind the last byte; 0: nothing was moved. */
	__u64 end;
};

enum tls_purpose {
	/* Gives or takes plaintext. */
	TLS_MOVES,
	/* Only moves ciphertext: before all plaintext, and at any time. */
	TLS_SHAKES_HANDS,
	TLS_LOOKS,
};

/* A call of a TLS library that has begun. */
struct tls_call {
	/* The library's object for the connection, the plaintext, and the caller's stack. */
	__u64 object;
	__u64 buffer;
	__u64 stack;
	/* Where the function tells how much it moved; 0 where its result does. */
	__u64 moved;
	__u64 began;
	__u32 direction;
	/* Calls of the library inside this one, on the same object. */
	__u32 depth;
	/* The connection that carried it; socket 0: none so far. */
	struct connection_key carrier;
	struct carried sent;
	struct carried received;
	/* More than one connection was used meanwhile: none of them is believed. */
	__u32 is_torn;
	/* enum tls_purpose */
	__u32 purpose;
};

/* By thread. The oldest make room: a thread that ended in a call leaves its entry behind. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1 << 14);
	__type(key, __u64);
	__type(value, struct tls_call);
} tls_calls SEC(".maps");

/* How many libraries are probed: while none is, socket calls do not look any further. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} tls_probed SEC(".maps");

static __always_inline void note_carried(struct carried *carried, __u64 position, __u32 length)
{
	if (!carried->end)
		carried->first = position;
	carried->end = position + length;
}

/* A socket call moved bytes of this connection: perhaps for a TLS library. */
static __always_inline void note_carrier(__u64 thread, struct segment_record *record, __u32 length)
{
	struct tls_call *call;
	__u32 zero = 0, *probed;

	probed = bpf_map_lookup_elem(&tls_probed, &zero);
	if (!probed || !*probed)
		return;
	call = bpf_map_lookup_elem(&tls_calls, &thread);
	if (!call)
		return;
	if (!call->carrier.socket)
		call->carrier = record->key;
	if (call->carrier.socket != record->key.socket ||
	    call->carrier.generation != record->key.generation) {
		call->is_torn = 1;
		return;
	}
	if (record->direction == DIRECTION_SEND)
		note_carried(&call->sent, record->position, length);
	else
		note_carried(&call->received, record->position, length);
}

#endif
