/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Of which connections more is copied. */
#ifndef ALAZ_DEPTH_H
#define ALAZ_DEPTH_H

#include "shared.h"

/*
 * Connections of which more than the ends of long calls is wanted, by socket, and in how many parts
 * calls on them are told. Written by the user side; looked at for long calls only.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1 << 12);
	__type(key, __u64);
	__type(value, __u32);
} depths SEC(".maps");

static __always_inline __u32 parts_of(__u64 socket)
{
	__u32 *parts = bpf_map_lookup_elem(&depths, &socket);

	return parts ? *parts : 1;
}

#endif
