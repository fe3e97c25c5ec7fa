// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Processes as they come, change and go, so that one that lives for milliseconds has a name. */
#include "shared.h"

/* Too large for the stack. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct exec_record);
} exec_scratch SEC(".maps");

TRACEPOINT("sched_process_exec")
int BPF_PROG(on_exec, struct task_struct *task, int old_pid, struct linux_binprm *program)
{
	struct exec_record *record;
	struct mm_struct *memory;
	unsigned long start, size;
	__u32 zero = 0;
	long copied;

	record = bpf_map_lookup_elem(&exec_scratch, &zero);
	if (!record)
		return 0;
	record->kind = RECORD_EXEC;
	record->pid = BPF_CORE_READ(task, tgid);
	record->parent = BPF_CORE_READ(task, real_parent, tgid);
	record->time = bpf_ktime_get_ns();
	bpf_get_current_comm(record->comm, sizeof(record->comm));

	copied = bpf_probe_read_kernel_str(record->filename, sizeof(record->filename),
					   BPF_CORE_READ(program, filename));
	record->filename_length = copied > 0 ? copied - 1 : 0;

	memory = BPF_CORE_READ(task, mm);
	start = BPF_CORE_READ(memory, arg_start);
	size = BPF_CORE_READ(memory, arg_end) - start;
	if (size > ARGUMENTS_MAX)
		size = ARGUMENTS_MAX;
	record->arguments_length = 0;
	if (bpf_probe_read_user(record->arguments, size, (void *)start) == 0)
		record->arguments_length = size;

	emit(LANE_EXEC, record, sizeof(*record));
	return 0;
}

/* Not inlined for the sake of its type information, see connection.h. */
static __noinline bool emit_exit(struct exit_record *record)
{
	return emit(LANE_EXIT, record, sizeof(*record));
}

TRACEPOINT("sched_process_exit")
int BPF_PROG(on_exit, struct task_struct *task)
{
	struct exit_record record = {};

	record.pid = BPF_CORE_READ(task, tgid);
	if (record.pid != (__u32)BPF_CORE_READ(task, pid))
		return 0;
	record.kind = RECORD_EXIT;
	record.time = bpf_ktime_get_ns();
	emit_exit(&record);
	return 0;
}

static __noinline bool emit_fork(struct fork_record *record)
{
	return emit(LANE_FORK, record, sizeof(*record));
}

TRACEPOINT("sched_process_fork")
int BPF_PROG(on_fork, struct task_struct *parent, struct task_struct *child)
{
	struct fork_record record = {};

	record.pid = BPF_CORE_READ(child, tgid);
	/* Else it is a thread. */
	if (record.pid != (__u32)BPF_CORE_READ(child, pid))
		return 0;
	record.kind = RECORD_FORK;
	record.parent = BPF_CORE_READ(parent, tgid);
	record.time = bpf_ktime_get_ns();
	emit_fork(&record);
	return 0;
}
