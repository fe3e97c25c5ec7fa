// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * TCP by syscall tracepoints: connections as they come and go, and the bytes of each I/O call.
 *
 * All work is done when a call ends: its arguments are still in the saved registers, the result
 * says how much really moved, and readers that were blocked before we came are seen too. A hook on
 * the beginning of calls would cost every process again as much.
 */
#include "connection.h"
#include "payload.h"
#include "syscalls.h"

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct segment_scratch);
} segment_scratch SEC(".maps");

/* The TCP socket behind a descriptor of this process; NULL for files, pipes and all else. */
static __always_inline struct sock *tcp_socket(__u32 descriptor)
{
	struct task_struct *task = CURRENT_TASK();
	struct files_struct *files = READ(task, files);
	struct fdtable *table = READ(files, fdt);
	struct file **slots = READ(table, fd);
	void *pointer = 0;
	struct file *file;
	struct inode *inode;
	struct socket *socket;
	struct sock *sk;
	__u16 family;

	if (descriptor >= READ(table, max_fds))
		return 0;
	bpf_probe_read_kernel(&pointer, sizeof(pointer), slots + descriptor);
	if (!pointer)
		return 0;
	file = KERNEL_POINTER(struct file, pointer);
	inode = READ(file, f_inode);
	if ((READ(inode, i_mode) & S_IFMT) != S_IFSOCK)
		return 0;
	socket = KERNEL_POINTER(struct socket, READ(file, private_data));
	sk = READ(socket, sk);
	if (!sk)
		return 0;
	family = READ(sk, __sk_common.skc_family);
	if (family != AF_INET && family != AF_INET6)
		return 0;
	if (READ(sk, sk_protocol) != IPPROTO_TCP)
		return 0;
	return sk;
}

/* Where both directions stand. */
struct progress {
	__u64 sent;
	__u64 consumed;
	__u64 send_position;
	__u64 receive_position;
};

static __always_inline void read_progress(struct sock *sk, struct tcp_sock *tcp,
					  struct progress *progress)
{
	__u32 written = READ(tcp, write_seq);
	__u32 read = READ(tcp, copied_seq);

	/* The peer's FIN takes a number too, and is no byte. */
	if (has_read_all(sk, tcp, read))
		read--;

	progress->sent = bytes_sent(tcp, written);
	progress->consumed = bytes_consumed(tcp, read);
	progress->send_position = position_at(written, progress->sent);
	progress->receive_position = position_at(read, progress->consumed);
}

static __always_inline __u64 generation_of(struct sock *sk, struct progress *before)
{
	__u64 socket = (__u64)sk;
	struct connection *entry = bpf_map_lookup_elem(&connections, &socket);

	if (entry && entry->port_pair == READ(sk, __sk_common.skc_portpair))
		return entry->generation;
	/* The client's SYN counts as one byte sent. */
	return introduce(sk, ROLE_UNKNOWN, before->sent > 1 || before->consumed > 0,
			 before->send_position, before->receive_position);
}

static __noinline bool copy_payload(struct segment_scratch *scratch, struct call *call)
{
	struct user_msghdr message;

	if (call->shape == PAYLOAD_NONE)
		return true;
	if (call->shape == PAYLOAD_BUFFER)
		return copy_buffer(scratch, call->payload, scratch->record.length);
	if (call->shape == PAYLOAD_MESSAGE) {
		if (bpf_probe_read_user(&message, sizeof(message), (void *)call->payload))
			return false;
		call->payload = message.vector;
		call->count = message.vector_length;
	}
	return copy_vector(scratch, call->payload, call->count);
}

static __always_inline void record_segment(struct call *call, __u32 length)
{
	struct segment_scratch *scratch;
	struct counters *count;
	struct tcp_sock *tcp;
	struct segment_record *record;
	struct sock *sk;
	__u32 zero = 0;
	struct progress progress;
	__u64 identity;
	__u32 copied;

	identity = bpf_get_current_pid_tgid();
	if (identity >> 32 == own_pid)
		return;
	sk = tcp_socket(call->descriptor);
	if (!sk)
		return;
	count = own_counters();
	scratch = bpf_map_lookup_elem(&segment_scratch, &zero);
	if (!count || !scratch)
		return;
	count->seen.segments++;
	count->seen.bytes += length;

	tcp = KERNEL_POINTER(struct tcp_sock, sk);
	record = &scratch->record;
	read_progress(sk, tcp, &progress);

	record->kind = RECORD_SEGMENT;
	record->length = length;
	record->time = bpf_ktime_get_ns();
	record->pid = identity >> 32;
	record->tid = identity;
	record->head_length = 0;
	record->tail_length = 0;
	record->direction = call->direction;
	/* What the call moved is behind the socket now; take it back to before. */
	if (call->direction == DIRECTION_SEND) {
		progress.sent -= length;
		progress.send_position -= length;
		record->position = progress.send_position;
		record->sent = READ(tcp, tcp_wstamp_ns);
	} else {
		progress.consumed -= length;
		progress.receive_position -= length;
		record->position = progress.receive_position;
		record->sent = 0;
	}
	record->key.socket = (__u64)sk;
	record->key.generation = generation_of(sk, &progress);
	if (!record->key.generation) {
		count->table_full.segments++;
		count->table_full.bytes += length;
		return;
	}

	if (!copy_payload(scratch, call)) {
		count->unreadable.segments++;
		count->unreadable.bytes += length;
	}

	copied = record->head_length + record->tail_length;
	barrier_var(copied);
	if (copied > HEAD_MAX + TAIL_MAX)
		return;
	if (bpf_ringbuf_output(&ring, scratch, sizeof(*record) + copied, BPF_RB_NO_WAKEUP)) {
		count->ring_full.segments++;
		count->ring_full.bytes += length;
	}
}

SEC("tp_btf/sys_exit")
int BPF_PROG(on_call_end, struct pt_regs *regs, long result)
{
	struct call call;

	if (result <= 0)
		return 0;
	if (!socket_call(regs, &call))
		return 0;
	record_segment(&call, result);
	return 0;
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(on_state, struct sock *sk, int before, int after)
{
	struct progress progress;

	if (after != TCP_ESTABLISHED && after != TCP_CLOSE)
		return 0;
	if (READ(sk, sk_protocol) != IPPROTO_TCP)
		return 0;
	if (after == TCP_CLOSE) {
		/* What arrived before the end can still be read: then it ends with the socket. */
		if (!has_unread(sk))
			conclude(sk);
		return 0;
	}
	read_progress(sk, KERNEL_POINTER(struct tcp_sock, sk), &progress);
	introduce(sk, before == TCP_SYN_SENT ? ROLE_CLIENT : ROLE_SERVER, false,
		  progress.send_position, progress.receive_position);
	return 0;
}

SEC("tp_btf/tcp_destroy_sock")
int BPF_PROG(on_destroy, struct sock *sk)
{
	conclude(sk);
	return 0;
}
