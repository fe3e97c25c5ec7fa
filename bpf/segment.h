/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The record of one I/O call on a TCP socket, whichever hook saw it end. */
#ifndef ALAZ_SEGMENT_H
#define ALAZ_SEGMENT_H

#include "connection.h"
#include "depth.h"
#include "payload.h"
#include "tls.h"

/*
 * The generation of a connection that was not seen to begin: it is older than Alaz, or it carries
 * data before it is established (TCP Fast Open, RFC 7413).
 */
static __always_inline __u64 introduce_late(__u32 lane, struct sock *sk, struct progress *before)
{
	__u32 role = ROLE_UNKNOWN;
	bool mid_stream = false;
	__u8 state;

	state = READ(sk, __sk_common.skc_state);
	if (state == TCP_SYN_SENT)
		role = ROLE_CLIENT;
	else if (state == TCP_SYN_RECV)
		role = ROLE_SERVER;
	else
		/* The client's SYN counts as one byte sent. */
		mid_stream = before->sent > 1 || before->consumed > 0;
	forget_former(lane, sk);
	return introduce(lane, sk, role, mid_stream, before);
}

/*
 * Whether a call is none of ours to tell of: by its process, or on a connection that is such a
 * process's. Where that could not be told, the next call tries again.
 */
static __always_inline bool is_left_out(__u32 lane, __u64 socket, struct connection *entry,
					__u32 process)
{
	if (entry && entry->opted_out)
		return true;
	if (!is_opted_out(process))
		return false;
	if (entry && emit_opted_out(lane, socket, entry))
		entry->opted_out = 1;
	return true;
}

/* How often that was changed: only then does a call look there. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} depth_changes SEC(".maps");

/* How a call is told. That nothing is wanted of a connection is for good. */
static __always_inline __u32 parts_of(__u64 socket, struct connection *entry)
{
	__u32 zero = 0;
	__u32 *change = bpf_map_lookup_elem(&depth_changes, &zero);
	struct depth *depth;

	if (!change || entry->change == *change || entry->parts == 0)
		return entry->parts;
	entry->change = *change;
	depth = bpf_map_lookup_elem(&depths, &socket);
	entry->parts = depth && depth->generation == entry->generation ? depth->parts : 1;
	return entry->parts;
}

/*
 * Writes the segment in the lane's scratch, and copies its bytes from where the payload says they lie.
 * Global for the same reason as record_segment.
 */
__noinline int emit_part(__u32 lane)
{
	struct segment_scratch *scratch = own_scratch(lane);
	struct counters *count = own_counters(lane);
	struct segment_record *record;
	__u32 copied;

	if (!scratch || !count)
		return 0;
	record = &scratch->datagram.call;
	record->head_length = 0;
	record->tail_length = 0;
	if (!copy_payload(scratch)) {
		scratch->payload.shape = PAYLOAD_LOST;
		count->unreadable.segments++;
		count->unreadable.bytes += record->length;
	}
	copied = record->head_length + record->tail_length;
	barrier_var(copied);
	if (copied > HEAD_MAX + TAIL_MAX)
		return 0;
	if (bpf_ringbuf_output(&ring, record, sizeof(*record) + copied, BPF_RB_NO_WAKEUP)) {
		count->ring_full.segments++;
		count->ring_full.bytes += record->length;
	}
	return 0;
}

/*
 * Records `length` bytes that a call moved; the lane's scratch says on which socket, and where they
 * lie. The socket's own counters have moved already. `thread` is the caller's tgid and pid, 0 for
 * none.
 *
 * Global, so that the verifier looks at it once, whoever calls it; so its arguments are numbers.
 */
__noinline int record_segment(__u32 lane, __u64 thread, __u32 direction, __u32 length)
{
	struct segment_scratch *scratch;
	struct segment_record *record;
	struct connection *entry;
	struct counters *count;
	struct progress progress;
	struct tcp_sock *tcp;
	struct sock *sk;
	__u32 parts, i;

	count = own_counters(lane);
	scratch = own_scratch(lane);
	if (!count || !scratch)
		return 0;
	count->seen.segments++;
	count->seen.bytes += length;

	record = &scratch->datagram.call;
	sk = KERNEL_POINTER(struct sock, record->key.socket);
	tcp = KERNEL_POINTER(struct tcp_sock, record->key.socket);
	entry = known(sk);
	if (is_left_out(lane, record->key.socket, entry, thread >> 32)) {
		count->opted_out.segments++;
		count->opted_out.bytes += length;
		return 0;
	}
	read_progress(sk, &progress);

	record->kind = RECORD_SEGMENT;
	record->time = bpf_ktime_get_ns();
	record->pid = thread >> 32;
	record->tid = thread;
	record->direction = direction;
	/* What the call moved is behind the socket now; take it back to before. */
	if (direction == DIRECTION_SEND) {
		progress.sent -= length + scratch->behind;
		progress.send_position -= length + scratch->behind;
		record->position = progress.send_position;
		/* What was not sent yet is not what the stamp is of. */
		record->sent = (__s32)(READ(tcp, snd_nxt) - (__u32)record->position) > 0 ?
				       READ(tcp, tcp_wstamp_ns) : 0;
	} else {
		progress.consumed -= length + scratch->behind;
		progress.receive_position -= length + scratch->behind;
		record->position = progress.receive_position;
		record->sent = 0;
	}
	if (!entry) {
		record->key.generation = introduce_late(lane, sk, &progress);
	} else {
		record->key.generation = entry->generation;
		if (entry->state == CONNECTION_OVER && direction == DIRECTION_RECEIVE)
			entry->receive_position = record->position + length;
	}
	if (record->key.generation == NO_ROOM_IN_TABLE) {
		count->table_full.segments++;
		count->table_full.bytes += length;
		return 0;
	}
	if (record->key.generation == NO_ROOM_IN_RING) {
		count->ring_full.segments++;
		count->ring_full.bytes += length;
		return 0;
	}
	note_carrier(thread, record, length);

	parts = entry ? parts_of(record->key.socket, entry) : 1;
	if (parts == 0)
		scratch->payload.shape = PAYLOAD_NONE;
	scratch->left = length;
	for (i = 0; i < PARTS_MAX && scratch->left > 0; i++) {
		bool is_last = i + 1 >= parts || i + 1 == PARTS_MAX || scratch->left <= HEAD_MAX;

		record->length = is_last ? scratch->left : HEAD_MAX;
		/* Each is seen as a segment. */
		count->seen.segments += i > 0;
		emit_part(lane);
		advance_payload(scratch);
		record->position += record->length;
		scratch->left -= record->length;
	}
	return 0;
}

/*
 * Connections as they come and go, by the kernel's own state machine: the same for every way of
 * seeing the bytes.
 */
TRACEPOINT("inet_sock_set_state")
int BPF_PROG(on_state, struct sock *raw, int before, int after)
{
	struct sock *sk = KERNEL_POINTER(struct sock, raw);
	struct progress progress;

	if (after != TCP_SYN_SENT && after != TCP_ESTABLISHED && after != TCP_CLOSE)
		return 0;
	if (READ(sk, sk_protocol) != IPPROTO_TCP)
		return 0;
	if (after == TCP_SYN_SENT) {
		/* Perhaps once more. */
		forget(LANE_STATE, sk);
		note_attempt(sk);
	} else if (after == TCP_CLOSE) {
		if (before == TCP_SYN_SENT)
			tell_refused(LANE_STATE, sk);
		conclude(LANE_STATE, sk, before);
	} else {
		if (!known(sk)) {
			read_progress(sk, &progress);
			/* Data in the SYN is behind the socket already; its call has not ended. */
			if (before == TCP_SYN_SENT)
				progress.send_position -= progress.sent - 1;
			forget_former(LANE_STATE, sk);
			introduce(LANE_STATE, sk,
				  before == TCP_SYN_SENT ? ROLE_CLIENT : ROLE_SERVER, false,
				  &progress);
		}
		if (before == TCP_SYN_SENT)
			note_handshake(sk);
	}
	return 0;
}

TRACEPOINT("tcp_destroy_sock")
int BPF_PROG(on_destroy, struct sock *raw)
{
	forget(LANE_DESTROY, KERNEL_POINTER(struct sock, raw));
	return 0;
}

#endif
