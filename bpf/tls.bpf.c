// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What is said inside TLS, where OpenSSL's functions take and give it. Attached once to each library
 * file, whoever uses it; see tls.h for how a call finds its connection. Nothing is written to a
 * process.
 */
#include "depth.h"
#include "payload.h"
#include "progress.h"
#include "registers.h"
#include "tls.h"

/* The library's object for one connection, in one process. */
struct tls_object {
	__u64 object;
	__u64 process;
};

/* Which connection an object was last seen to use: a read may find all it needs in memory. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1 << 16);
	__type(key, struct tls_object);
	__type(value, struct connection_key);
} tls_links SEC(".maps");

/* One direction of what is said on a connection. */
struct tls_side {
	/* Of the next byte of plaintext. */
	__u64 position;
	/* Up to where the ciphertext was moved by calls that were seen. */
	__u64 carried;
};

struct tls_stream {
	__u64 generation;
	struct tls_side sent;
	struct tls_side received;
};

/* By socket. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1 << 16);
	__type(key, __u64);
	__type(value, struct tls_stream);
} tls_streams SEC(".maps");

/*
 * Where the kernel preempts threads in programs, another can run this one meanwhile on the same CPU:
 * numbers are added atomically, and the scratch is one's alone or not used.
 */
#define ADD(number, amount) __sync_fetch_and_add(&(number), amount)

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} tls_users SEC(".maps");

/* Alaz's own, and what its socket calls are counted of only. */
static __always_inline bool is_left_out(__u32 process)
{
	return process == settings.own_pid || is_opted_out(process);
}

static __always_inline int begin(struct tls_call *call)
{
	__u64 thread = bpf_get_current_pid_tgid();
	struct tls_call *outer;

	if (is_left_out(thread >> 32))
		return 0;
	outer = bpf_map_lookup_elem(&tls_calls, &thread);
	/* The library calls itself. Anything further down the stack is a call that never returned. */
	if (outer && outer->object == call->object && call->stack < outer->stack) {
		outer->depth++;
		return 0;
	}
	call->began = bpf_ktime_get_ns();
	bpf_map_update_elem(&tls_calls, &thread, call, BPF_ANY);
	return 0;
}

static __always_inline int begin_moving(struct pt_regs *regs, __u32 direction)
{
	struct tls_call call = {
		.object = PARAMETER_1(regs),
		.buffer = PARAMETER_2(regs),
		.stack = STACK(regs),
		.direction = direction,
	};

	return begin(&call);
}

/* The functions that give back how much was moved by a pointer, and 1. */
static __always_inline int begin_moving_exactly(struct pt_regs *regs, __u32 direction)
{
	struct tls_call call = {
		.object = PARAMETER_1(regs),
		.buffer = PARAMETER_2(regs),
		.stack = STACK(regs),
		.moved = PARAMETER_4(regs),
		.direction = direction,
	};

	return begin(&call);
}

SEC("uprobe")
int on_tls_write(struct pt_regs *regs)
{
	return begin_moving(regs, DIRECTION_SEND);
}

SEC("uprobe")
int on_tls_read(struct pt_regs *regs)
{
	return begin_moving(regs, DIRECTION_RECEIVE);
}

SEC("uprobe")
int on_tls_write_ex(struct pt_regs *regs)
{
	return begin_moving_exactly(regs, DIRECTION_SEND);
}

SEC("uprobe")
int on_tls_read_ex(struct pt_regs *regs)
{
	return begin_moving_exactly(regs, DIRECTION_RECEIVE);
}

static __always_inline int begin_other(struct pt_regs *regs, __u32 purpose)
{
	struct tls_call call = {
		.object = PARAMETER_1(regs),
		.stack = STACK(regs),
		.purpose = purpose,
	};

	return begin(&call);
}

SEC("uprobe")
int on_tls_handshake(struct pt_regs *regs)
{
	return begin_other(regs, TLS_SHAKES_HANDS);
}

SEC("uprobe")
int on_tls_peek(struct pt_regs *regs)
{
	return begin_other(regs, TLS_LOOKS);
}

/* Another connection may get an object at the same place. */
SEC("uprobe")
int on_tls_free(struct pt_regs *regs)
{
	struct tls_object object = {
		.object = PARAMETER_1(regs),
		.process = bpf_get_current_pid_tgid() >> 32,
	};

	bpf_map_delete_elem(&tls_links, &object);
	return 0;
}

/* The call's connection; socket 0 where none is known. */
static __always_inline struct connection_key carrier_of(struct tls_call *call, __u64 thread)
{
	struct tls_object object = { .object = call->object, .process = thread >> 32 };
	struct connection_key none = {}, *linked;

	if (call->is_torn) {
		bpf_map_delete_elem(&tls_links, &object);
		return none;
	}
	linked = bpf_map_lookup_elem(&tls_links, &object);
	if (!call->carrier.socket)
		return linked ? *linked : none;
	if (!linked || linked->socket != call->carrier.socket ||
	    linked->generation != call->carrier.generation)
		bpf_map_update_elem(&tls_links, &object, &call->carrier, BPF_ANY);
	return call->carrier;
}

/* Later than any position that was given out before. */
static __always_inline __u64 unanchored(void)
{
	return PLAINTEXT_UNANCHORED + bpf_ktime_get_ns();
}

/*
 * Where ciphertext went by that no call is known to have moved, plaintext may have, too. `now` is up to
 * where it has been moved where this call is the first that is seen; else 0.
 */
static __always_inline void carry_on(struct tls_side *side, struct carried *carried, __u64 now)
{
	if (now)
		side->carried = now;
	if (!carried->end)
		return;
	if (!now && side->carried != carried->first)
		side->position = unanchored();
	side->carried = carried->end;
}

/*
 * What has been said on the connection, this call's bytes not counted. A handshake comes before
 * everything else; where it was not seen, something may have been said before.
 */
static __always_inline struct tls_stream *stream_of(struct connection_key *key,
						    struct tls_call *call)
{
	struct tls_stream fresh = { .generation = key->generation }, *stream;
	struct progress now = {};

	stream = bpf_map_lookup_elem(&tls_streams, &key->socket);
	if (!stream || stream->generation != key->generation) {
		read_progress(KERNEL_POINTER(struct sock, key->socket), &now);
		if (call->purpose != TLS_SHAKES_HANDS) {
			fresh.sent.position = unanchored();
			fresh.received.position = unanchored();
		}
		bpf_map_update_elem(&tls_streams, &key->socket, &fresh, BPF_ANY);
		stream = bpf_map_lookup_elem(&tls_streams, &key->socket);
		if (!stream)
			return 0;
	}
	carry_on(&stream->sent, &call->sent, now.send_position);
	carry_on(&stream->received, &call->received, now.receive_position);
	return stream;
}

static __always_inline void emit_plaintext(struct segment_scratch *scratch, struct counters *count)
{
	struct segment_record *record = &scratch->datagram.call;
	__u32 copied;

	record->head_length = 0;
	record->tail_length = 0;
	if (!copy_buffer(scratch, scratch->payload.base)) {
		record->head_length = 0;
		ADD(count->tls_unreadable.segments, 1);
		ADD(count->tls_unreadable.bytes, record->length);
	}
	copied = record->head_length + record->tail_length;
	barrier_var(copied);
	if (copied > HEAD_MAX + TAIL_MAX)
		return;
	if (bpf_ringbuf_output(&ring, record, sizeof(*record) + copied, BPF_RB_NO_WAKEUP)) {
		ADD(count->tls_ring_full.segments, 1);
		ADD(count->tls_ring_full.bytes, record->length);
	}
}

static __always_inline void emit_parts(struct segment_scratch *scratch, struct counters *count,
				       __u32 length)
{
	struct segment_record *record = &scratch->datagram.call;
	__u32 parts, i;

	parts = length > HEAD_MAX ? plaintext_parts_of(&record->key) : 1;
	scratch->left = length;
	for (i = 0; i < PARTS_MAX && scratch->left > 0; i++) {
		bool is_last = i + 1 >= parts || i + 1 == PARTS_MAX || scratch->left <= HEAD_MAX;

		record->length = is_last ? scratch->left : HEAD_MAX;
		/* Each is seen as a segment. */
		if (i > 0)
			ADD(count->tls_seen.segments, 1);
		emit_plaintext(scratch, count);
		record->position += record->length;
		scratch->payload.base += record->length;
		scratch->left -= record->length;
	}
}

static __always_inline void record_plaintext(struct tls_call *call, struct connection_key *key,
					     struct tls_side *side, __u64 thread, __u32 length)
{
	struct segment_scratch *scratch = own_scratch(LANE_TLS);
	struct counters *count = own_counters(LANE_TLS);
	struct segment_record *record;
	__u64 position = side->position, *users;
	__u32 zero = 0;

	side->position += length;
	users = bpf_map_lookup_elem(&tls_users, &zero);
	if (!scratch || !count || !users)
		return;
	ADD(*users, 1);
	if (*(volatile __u64 *)users != 1) {
		ADD(count->tls_missed.segments, 1);
		ADD(count->tls_missed.bytes, length);
		ADD(*users, -1);
		return;
	}
	record = &scratch->datagram.call;
	record->kind = RECORD_SEGMENT;
	record->key = *key;
	record->position = position;
	record->time = bpf_ktime_get_ns();
	record->sent = call->direction == DIRECTION_SEND ? call->began : 0;
	record->pid = thread >> 32;
	record->tid = thread;
	record->direction = call->direction;
	record->source = SOURCE_TLS;
	scratch->payload.base = call->buffer;
	emit_parts(scratch, count, length);
	ADD(*users, -1);
}

/* How much the call moved. */
static __always_inline __u32 moved_by(struct tls_call *call, __s32 result)
{
	__u64 moved = 0;

	if (call->purpose != TLS_MOVES || result <= 0)
		return 0;
	if (!call->moved)
		return result;
	if (bpf_probe_read_user(&moved, sizeof(moved), (void *)call->moved))
		return 0;
	/* A length that no call moves. */
	return moved < (1U << 31) ? moved : 0;
}

/* The end of every one of these functions. */
SEC("uretprobe")
int on_tls_end(struct pt_regs *regs)
{
	__u64 thread = bpf_get_current_pid_tgid();
	struct tls_call *begun = bpf_map_lookup_elem(&tls_calls, &thread);
	struct counters *count = own_counters(LANE_TLS);
	__s32 result = RESULT(regs);
	struct tls_stream *stream;
	struct connection_key key;
	struct tls_call call;
	__u32 length;

	if (!count || is_left_out(thread >> 32))
		return 0;
	if (!begun) {
		if (result > 0) {
			ADD(count->tls_seen.segments, 1);
			ADD(count->tls_missed.segments, 1);
		}
		return 0;
	}
	if (begun->depth > 0) {
		begun->depth--;
		return 0;
	}
	call = *begun;
	bpf_map_delete_elem(&tls_calls, &thread);
	length = moved_by(&call, result);
	if (length) {
		ADD(count->tls_seen.segments, 1);
		ADD(count->tls_seen.bytes, length);
	}
	key = carrier_of(&call, thread);
	stream = key.socket ? stream_of(&key, &call) : 0;
	if (!stream) {
		if (length) {
			ADD(count->tls_unlinked.segments, 1);
			ADD(count->tls_unlinked.bytes, length);
		}
		return 0;
	}
	if (!length)
		return 0;
	if (call.direction == DIRECTION_SEND)
		record_plaintext(&call, &key, &stream->sent, thread, length);
	else
		record_plaintext(&call, &key, &stream->received, thread, length);
	return 0;
}
