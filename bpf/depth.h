/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* How much is copied of which connection. */
#ifndef ALAZ_DEPTH_H
#define ALAZ_DEPTH_H

#include "shared.h"

struct depth {
	/* Another connection of the same socket is not meant. */
	__u64 generation;
	/* In how many parts calls are told; 0: nothing is copied. */
	__u32 parts;
	__u32 reserved;
};

/*
 * Connections of which more, or less, than the ends of long calls is wanted, by socket. Written by the
 * user side.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1 << 12);
	__type(key, __u64);
	__type(value, struct depth);
} depths SEC(".maps");

/* In how many parts a call is told, of what is said inside TLS: it is never left uncopied. */
static __always_inline __u32 plaintext_parts_of(struct connection_key *key)
{
	struct depth *depth = bpf_map_lookup_elem(&depths, &key->socket);
	__u32 parts = depth && depth->generation == key->generation ? depth->parts : 1;

	return parts ? parts : 1;
}

#endif
