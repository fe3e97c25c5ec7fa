/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What every object needs: reading kernel memory, the ring, the counters, and whose process this
 * is. The loader makes the maps once and hands the same ones to each object.
 */
#ifndef ALAZ_SHARED_H
#define ALAZ_SHARED_H

#include "kernel.h"

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

#include "abi.h"

/*
 * Two ways to read kernel memory from one source. Since 6.2 a pointer can be cast to a read-only
 * one of a known type and then read by plain loads; before, each read is a helper call. The build
 * makes an object of each kind, and the loader takes the first that the kernel accepts.
 *
 * The second kind asks nothing of the kernel's type information but offsets, which may come from a
 * file: typed tracepoints (tp_btf) and kernel functions (ksym) need the kernel's own.
 */
#ifdef DIRECT_READS
extern void *bpf_rdonly_cast(const void *pointer, __u32 type) __ksym;
#define KERNEL_POINTER(type, pointer) \
	((type *)bpf_rdonly_cast((const void *)(pointer), bpf_core_type_id_kernel(type)))
#define READ(pointer, member) ((pointer)->member)
#define CURRENT_TASK() ((struct task_struct *)bpf_get_current_task_btf())
#define TRACEPOINT(name) SEC("tp_btf/" name)
#else
#define KERNEL_POINTER(type, pointer) ((type *)(pointer))
#define READ(pointer, member) BPF_CORE_READ(pointer, member)
#define CURRENT_TASK() ((struct task_struct *)bpf_get_current_task())
#define TRACEPOINT(name) SEC("raw_tp/" name)
#endif

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* The only constant of each object: the loader replaces all there is. */
const volatile struct settings settings = {};

/* Sized by the loader. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 24);
} ring SEC(".maps");

/*
 * Where the kernel allows that, a program can be preempted by another one on the same CPU; not by
 * itself, the kernel sees to that. So what is kept by CPU is kept by program, too.
 */
enum lane {
	LANE_SEND,
	LANE_RECEIVE,
	LANE_SEND_PAGE,
	LANE_SPLICE_READ,
	LANE_UDP_SEND,
	LANE_UDP_RECEIVE,
	LANE_UDP6_SEND,
	LANE_UDP6_RECEIVE,
	LANE_TLS,
	/* The others move no bytes. */
	MOVING_LANES,
	LANE_STATE = MOVING_LANES,
	LANE_DESTROY,
	LANE_EXEC,
	LANE_EXIT,
	LANE_FORK,
	LANES,
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, LANES);
	__type(key, __u32);
	__type(value, struct counters);
} counters SEC(".maps");

/*
 * Processes (tgid) whose calls are neither copied nor told of, only counted: by their environment, or
 * since the user side says so (process.bpf.c). What finds no room here is left out by the user side.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1 << 12);
	__type(key, __u32);
	__type(value, __u8);
} opt_outs SEC(".maps");

/* Whether there ever was one: where there was none, it costs no more than this. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} has_opt_outs SEC(".maps");

static __always_inline bool is_opted_out(__u32 process)
{
	__u32 zero = 0;
	/* No call: the kernel writes it out as loads. */
	__u32 *has_some = bpf_map_lookup_elem(&has_opt_outs, &zero);

	return has_some && *has_some && bpf_map_lookup_elem(&opt_outs, &process);
}

static __always_inline void opt_out(__u32 process)
{
	__u32 zero = 0, has_some = 1;
	__u8 opted_out = 1;

	bpf_map_update_elem(&opt_outs, &process, &opted_out, BPF_ANY);
	bpf_map_update_elem(&has_opt_outs, &zero, &has_some, BPF_ANY);
}

/*
 * Has clang describe a type in the object, so that its mirror in Rust can be checked against it: for
 * records that are no function's parameter.
 */
#define DESCRIBE(type)                                           \
	do {                                                     \
		__u32 id = bpf_core_type_id_local(struct type);  \
		barrier_var(id);                                 \
	} while (0)

static __always_inline struct counters *own_counters(__u32 lane)
{
	return bpf_map_lookup_elem(&counters, &lane);
}

/* Calls that moved bytes and cannot be told more of. */
static __always_inline void count_missed(__u32 lane, __u64 segments, __u64 bytes)
{
	struct counters *count = own_counters(lane);

	if (!count)
		return;
	count->seen.segments += segments;
	count->seen.bytes += bytes;
	count->hook_missed.segments += segments;
	count->hook_missed.bytes += bytes;
}

static __always_inline void count_missed_datagrams(__u32 lane, __u64 number)
{
	struct counters *count = own_counters(lane);

	if (!count)
		return;
	count->datagrams_seen.segments += number;
	count->datagrams_missed.segments += number;
}

/*
 * Never wakes the reader: a wake-up would cost the application far more than the record itself.
 * The reader comes by on a timer.
 */
static __always_inline bool emit(__u32 lane, void *record, __u64 size)
{
	struct counters *count;

	if (bpf_ringbuf_output(&ring, record, size, BPF_RB_NO_WAKEUP) == 0)
		return true;
	count = own_counters(lane);
	if (count)
		count->events_lost++;
	return false;
}

#endif
