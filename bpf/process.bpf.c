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

/* Variables of an environment that are looked at; long ones count as several. */
#define VARIABLES_MAX 256
#define VARIABLE_MAX 128
/* "ALAZ_CAP" and "TURE=off": the loader leaves no room for other constants than the settings. */
#define FIRST_WORD 0x5041435f5a414c41
#define SECOND_WORD 0x66666f3d45525554

/* Where the walk over an environment stands: in memory for the verifier's sake (payload.h). */
struct environment {
	__u64 at;
	__u64 end;
	__u32 found;
	/* What is read next begins a variable. */
	__u32 begins;
	union {
		__u8 bytes[VARIABLE_MAX];
		__u64 words[2];
	};
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct environment);
} environments SEC(".maps");

/*
 * Whether the environment holds ALAZ_CAPTURE=off. Looked at before the program has run at all, so
 * that nothing of it is told.
 */
static __noinline bool is_off(unsigned long start, unsigned long end)
{
	struct environment *environment;
	__u32 zero = 0, i;

	environment = bpf_map_lookup_elem(&environments, &zero);
	if (!environment)
		return false;
	environment->at = start;
	environment->end = end;
	environment->found = 0;
	environment->begins = 1;
	for (i = 0; i < VARIABLES_MAX; i++) {
		long length;

		if (environment->found || environment->at >= environment->end)
			break;
		length = bpf_probe_read_user_str(environment->bytes, VARIABLE_MAX,
						 (void *)environment->at);
		if (length <= 0)
			break;
		if (environment->begins && length == sizeof(environment->words) + 1 &&
		    environment->words[0] == FIRST_WORD && environment->words[1] == SECOND_WORD)
			environment->found = 1;
		/* A text that was cut is closed all the same, in place of its next byte. */
		environment->begins = length < VARIABLE_MAX;
		environment->at += environment->begins ? length : VARIABLE_MAX - 1;
	}
	return environment->found;
}

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

	record->opted_out = is_off(BPF_CORE_READ(memory, env_start),
				   BPF_CORE_READ(memory, env_end));
	/* The user side may know of another reason. */
	if (record->opted_out)
		opt_out(record->pid);
	else if (is_opted_out(record->pid))
		bpf_map_delete_elem(&opt_outs, &record->pid);

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
	bpf_map_delete_elem(&opt_outs, &record.pid);
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
	/* It has its parent's environment. Where there is no room, the user side finds out. */
	if (is_opted_out(record.parent))
		opt_out(record.pid);
	emit_fork(&record);
	return 0;
}
