/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The record of one UDP datagram. */
#ifndef ALAZ_DATAGRAM_H
#define ALAZ_DATAGRAM_H

#include "connection.h"
#include "payload.h"

static __always_inline bool is_read(__be16 port)
{
	return port == __builtin_bswap16(PORT_DNS) || port == __builtin_bswap16(PORT_MDNS);
}

/*
 * Sockets that have asked a server and are not connected to it: where they do not want to know who
 * answers, only this tells. The oldest go first. A socket that is made later at the same place in
 * memory is told of in vain.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, __u64);
	__type(value, __u8);
} askers SEC(".maps");

static __always_inline bool has_asked(struct datagram_record *record, __u32 direction)
{
	return direction == DIRECTION_RECEIVE && !record->remote_port &&
	       bpf_map_lookup_elem(&askers, &record->call.key.socket);
}

static __always_inline void note_asker(struct datagram_record *record, struct sock *sk)
{
	__u8 asked = 1;

	if (record->remote_port != __builtin_bswap16(PORT_DNS) || READ(sk, __sk_common.skc_dport))
		return;
	if (!bpf_map_lookup_elem(&askers, &record->call.key.socket))
		bpf_map_update_elem(&askers, &record->call.key.socket, &asked, BPF_ANY);
}

/* The other side as the caller names it; where it names none, a socket that is connected does. */
static __always_inline void read_peer(struct segment_scratch *scratch, struct sock *sk)
{
	struct datagram_record *record = &scratch->datagram;
	struct user_address address = {};
	void *from = (void *)scratch->peer;
	long failed;

	if (!from)
		return;
	/* An IPv4 address is shorter; what lies behind it is not looked at. */
	if (scratch->peer_is_kernels)
		failed = bpf_probe_read_kernel(&address, 8, from);
	else
		failed = bpf_probe_read_user(&address, 8, from);
	if (failed || (address.family != AF_INET && address.family != AF_INET6))
		return;
	record->remote_port = address.port;
	if (address.family == AF_INET6) {
		from += __builtin_offsetof(struct user_address, address);
		if (scratch->peer_is_kernels)
			bpf_probe_read_kernel(record->remote_address, 16, from);
		else
			bpf_probe_read_user(record->remote_address, 16, from);
	} else if (record->family == AF_INET) {
		*(__u32 *)record->remote_address = address.first;
	} else {
		/* An IPv4 address on an IPv6 socket, as those are written (RFC 4291, 2.5.5.2). */
		__builtin_memset(record->remote_address, 0, 10);
		__builtin_memset(record->remote_address + 10, 0xff, 2);
		*(__u32 *)(record->remote_address + 12) = address.first;
	}
}

/*
 * Records a datagram of `length` bytes; the lane's scratch says of which socket, who the other side
 * is, and where the bytes lie. Global for the same reason as record_segment.
 */
__noinline int record_datagram(__u32 lane, __u64 thread, __u32 direction, __u32 length)
{
	struct segment_scratch *scratch;
	struct datagram_record *record;
	struct counters *count;
	struct sock *sk;
	__u32 copied;

	count = own_counters(lane);
	scratch = own_scratch(lane);
	if (!count || !scratch)
		return 0;
	count->datagrams_seen.segments++;
	count->datagrams_seen.bytes += length;
	if (is_opted_out(thread >> 32)) {
		count->datagrams_opted_out.segments++;
		count->datagrams_opted_out.bytes += length;
		return 0;
	}

	record = &scratch->datagram;
	sk = KERNEL_POINTER(struct sock, record->call.key.socket);
	record->family = READ(sk, __sk_common.skc_family);
	record->local_port = ports_of(sk) >> 16;
	record->remote_port = ports_of(sk);
	read_addresses(sk, record->local_address, record->remote_address);
	read_peer(scratch, sk);
	if (!is_read(record->local_port) && !is_read(record->remote_port) &&
	    !has_asked(record, direction)) {
		count->datagrams_passed.segments++;
		count->datagrams_passed.bytes += length;
		return 0;
	}

	if (direction == DIRECTION_SEND)
		note_asker(record, sk);
	record->kind = RECORD_DATAGRAM;
	record->network_namespace = namespace_of(sk);
	record->call.kind = RECORD_SEGMENT;
	record->call.length = length;
	record->call.key.generation = 0;
	record->call.position = 0;
	record->call.time = bpf_ktime_get_ns();
	record->call.sent = 0;
	record->call.pid = thread >> 32;
	record->call.tid = thread;
	record->call.head_length = 0;
	record->call.tail_length = 0;
	record->call.direction = direction;
	if (!copy_payload(scratch)) {
		count->datagrams_unreadable.segments++;
		count->datagrams_unreadable.bytes += length;
	}
	copied = record->call.head_length + record->call.tail_length;
	barrier_var(copied);
	if (copied > HEAD_MAX + TAIL_MAX)
		return 0;
	if (bpf_ringbuf_output(&ring, record, sizeof(*record) + copied, BPF_RB_NO_WAKEUP)) {
		count->datagrams_ring_full.segments++;
		count->datagrams_ring_full.bytes += length;
	}
	return 0;
}

#endif
