/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The table of connections, and the records of their beginning and end. */
#ifndef ALAZ_CONNECTION_H
#define ALAZ_CONNECTION_H

#include "progress.h"

enum connection_state {
	CONNECTION_OPEN,
	/* It is over, which is told when nothing waits to be read any more. */
	CONNECTION_OVER,
	CONNECTION_TOLD,
};

struct connection {
	__u64 generation;
	/* As they were when it was made: a socket whose ports differ is another connection. */
	__u32 ports;
	__u16 state;
	/* A process that was opted out uses it, which is told; nothing else is any more. */
	__u16 opted_out;
	/* In how many parts its calls are told, and as of which change of `depths` (segment.h). */
	__u32 parts;
	__u32 change;
	/* What is told of its end. Bytes may still be read after it. */
	__u32 error;
	__u32 retransmits;
	__u64 send_position;
	__u64 receive_position;
	__u64 handshake;
	__u32 round_trip;
	__u32 least_round_trip;
};

/*
 * By socket. Entries stay as long as the socket, so that a call that ends after its connection finds
 * it. A plain hash: an LRU one costs the application more on every lookup, and takes away the places
 * of connections that go on, whose next call would look like a new one. When it is full, calls on new
 * connections are counted as lost; each tries again, and is from then on as on a connection that is
 * older than Alaz.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1 << 16);
	__type(key, __u64);
	__type(value, struct connection);
} connections SEC(".maps");

/* Since when, and by which process, a socket is connecting. */
struct attempt {
	__u64 began;
	__u32 pid;
	__u32 reserved;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1 << 12);
	__type(key, __u64);
	__type(value, struct attempt);
} attempts SEC(".maps");

/* Both ports. The local one is where it stays when the socket gives it back to the kernel. */
static __always_inline __u32 ports_of(struct sock *sk)
{
	struct inet_sock *inet = KERNEL_POINTER(struct inet_sock, sk);

	return (__u32)READ(inet, inet_sport) << 16 | READ(sk, __sk_common.skc_dport);
}

static __always_inline void read_addresses(struct sock *sk, __u8 *local, __u8 *remote)
{
	if (READ(sk, __sk_common.skc_family) == AF_INET) {
		*(__u32 *)local = READ(sk, __sk_common.skc_rcv_saddr);
		*(__u32 *)remote = READ(sk, __sk_common.skc_daddr);
	} else {
		bpf_core_read(local, 16, &sk->__sk_common.skc_v6_rcv_saddr);
		bpf_core_read(remote, 16, &sk->__sk_common.skc_v6_daddr);
	}
}

static __always_inline __u32 namespace_of(struct sock *sk)
{
	struct net *net = KERNEL_POINTER(struct net, READ(sk, __sk_common.skc_net.net));

	return READ(net, ns.inum);
}

/*
 * Not inlined, so that the records' types stand in the object's type information, against which
 * their mirror in Rust is checked.
 */
static __noinline bool emit_open(__u32 lane, struct open_record *record)
{
	return emit(lane, record, sizeof(*record));
}

static __noinline bool emit_close(__u32 lane, __u64 socket, struct connection *entry)
{
	struct close_record record = {};

	DESCRIBE(close_record);
	record.kind = RECORD_CLOSE;
	record.error = entry->error;
	record.key.socket = socket;
	record.key.generation = entry->generation;
	record.time = bpf_ktime_get_ns();
	record.send_position = entry->send_position;
	record.receive_position = entry->receive_position;
	return emit(lane, &record, sizeof(record));
}

/* The entry of this very connection. */
static __always_inline struct connection *known(struct sock *sk)
{
	__u64 socket = (__u64)sk;
	struct connection *entry = bpf_map_lookup_elem(&connections, &socket);

	return entry && entry->ports == ports_of(sk) ? entry : 0;
}

static __noinline bool emit_measures(__u32 lane, __u64 socket, struct connection *entry)
{
	struct measures_record record = {};

	DESCRIBE(measures_record);
	record.kind = RECORD_MEASURES;
	record.retransmits = entry->retransmits;
	record.key.socket = socket;
	record.key.generation = entry->generation;
	record.time = bpf_ktime_get_ns();
	record.handshake = entry->handshake;
	record.round_trip = entry->round_trip;
	record.least_round_trip = entry->least_round_trip;
	return emit(lane, &record, sizeof(record));
}

static __noinline bool emit_opted_out(__u32 lane, __u64 socket, struct connection *entry)
{
	struct opted_out_record record = {};

	DESCRIBE(opted_out_record);
	record.kind = RECORD_OPTED_OUT;
	record.key.socket = socket;
	record.key.generation = entry->generation;
	record.time = bpf_ktime_get_ns();
	return emit(lane, &record, sizeof(record));
}

static __always_inline void tell_end(__u32 lane, __u64 socket, struct connection *entry)
{
	if (entry->state == CONNECTION_TOLD || entry->opted_out)
		return;
	entry->state = CONNECTION_TOLD;
	emit_measures(lane, socket, entry);
	emit_close(lane, socket, entry);
}

/* What it has to tell of its end, while that can still be read off the socket. */
static __always_inline void note_end(struct connection *entry, struct sock *sk, bool sent_fin)
{
	struct tcp_sock *tcp = KERNEL_POINTER(struct tcp_sock, sk);
	struct progress progress;

	entry->retransmits = READ(tcp, total_retrans);
	entry->round_trip = READ(tcp, srtt_us) >> 3;
	entry->least_round_trip = READ(tcp, rtt_min.s[0].v);
	/* No measure yet (net/ipv4/tcp.c, tcp_init_sock). */
	if (entry->least_round_trip == ~0U)
		entry->least_round_trip = 0;
	read_progress(sk, &progress);
	entry->error = READ(sk, sk_err);
	/* The FIN takes a number, and is no byte. */
	entry->send_position = progress.send_position - sent_fin;
	entry->receive_position = progress.receive_position;
	entry->state = CONNECTION_OVER;
}

/* The socket is another connection from now on, or none. */
static __always_inline void forget(__u32 lane, struct sock *sk)
{
	__u64 socket = (__u64)sk;
	struct connection *entry = bpf_map_lookup_elem(&connections, &socket);

	if (!entry)
		return;
	if (entry->state == CONNECTION_OPEN)
		note_end(entry, sk, false);
	tell_end(lane, socket, entry);
	bpf_map_delete_elem(&connections, &socket);
}

/*
 * Ends what the socket was before, where that was missed. To be called before `introduce`, and apart from
 * it: the functions of a call have 512 bytes of stack together, each rounded up, and 5.10 refuses more.
 */
static __noinline int forget_former(__u32 lane, struct sock *raw)
{
	struct sock *sk = KERNEL_POINTER(struct sock, raw);

	if (!known(sk))
		forget(lane, sk);
	return 0;
}

/* Instead of a generation, which is a time. */
#define NO_ROOM_IN_TABLE 0
#define NO_ROOM_IN_RING 1

/*
 * Remembers a connection and tells the user side of it; returns its generation, or where there is no
 * room. Its time is taken before others can find it, so it comes before their segments in time,
 * if not in the ring. Where there is no room for the record it is forgotten again, and the next call
 * tries anew.
 */
static __noinline __u64 introduce(__u32 lane, struct sock *raw, __u32 role, __u32 mid_stream,
				  struct progress *progress)
{
	struct sock *sk = KERNEL_POINTER(struct sock, raw);
	__u64 socket = (__u64)raw;
	struct open_record record = {};
	struct connection entry = {};
	struct connection *other;

	record.kind = RECORD_OPEN;
	record.role = role;
	record.mid_stream = mid_stream;
	record.time = bpf_ktime_get_ns();
	record.send_position = progress->send_position;
	record.receive_position = progress->receive_position;
	record.key.socket = socket;
	record.key.generation = record.time;
	record.family = READ(sk, __sk_common.skc_family);
	record.local_port = ports_of(sk) >> 16;
	record.remote_port = ports_of(sk);
	read_addresses(sk, record.local_address, record.remote_address);
	record.network_namespace = namespace_of(sk);

	entry.generation = record.time;
	entry.ports = ports_of(sk);
	entry.parts = 1;
	if (bpf_map_update_elem(&connections, &socket, &entry, BPF_NOEXIST)) {
		/* Perhaps another thread was faster. */
		other = known(sk);
		return other ? other->generation : NO_ROOM_IN_TABLE;
	}
	if (!emit_open(lane, &record)) {
		bpf_map_delete_elem(&connections, &socket);
		return NO_ROOM_IN_RING;
	}
	return entry.generation;
}

/* The application wants to connect. */
static __always_inline void note_attempt(struct sock *sk)
{
	__u64 socket = (__u64)sk;
	struct attempt attempt = {};

	attempt.began = bpf_ktime_get_ns();
	attempt.pid = bpf_get_current_pid_tgid() >> 32;
	bpf_map_update_elem(&attempts, &socket, &attempt, BPF_ANY);
}

/* It can. */
static __always_inline void note_handshake(struct sock *sk)
{
	__u64 socket = (__u64)sk;
	struct attempt *attempt = bpf_map_lookup_elem(&attempts, &socket);
	struct connection *entry;

	if (!attempt)
		return;
	entry = known(sk);
	if (entry)
		entry->handshake = bpf_ktime_get_ns() - attempt->began;
	bpf_map_delete_elem(&attempts, &socket);
}

static __noinline bool emit_refused(__u32 lane, struct refused_record *record)
{
	return emit(lane, record, sizeof(*record));
}

/* It could not, or does not want to any more. */
static __always_inline void tell_refused(__u32 lane, struct sock *sk)
{
	__u64 socket = (__u64)sk;
	struct attempt *attempt = bpf_map_lookup_elem(&attempts, &socket);
	struct refused_record record = {};

	if (!attempt)
		return;
	record.pid = attempt->pid;
	record.began = attempt->began;
	bpf_map_delete_elem(&attempts, &socket);
	if (record.pid == settings.own_pid || is_opted_out(record.pid))
		return;
	record.kind = RECORD_REFUSED;
	record.error = READ(sk, sk_err);
	record.time = bpf_ktime_get_ns();
	record.family = READ(sk, __sk_common.skc_family);
	record.local_port = ports_of(sk) >> 16;
	record.remote_port = ports_of(sk);
	read_addresses(sk, record.local_address, record.remote_address);
	record.network_namespace = namespace_of(sk);
	emit_refused(lane, &record);
}

/*
 * The connection is over, but the application may still read what came before, and a call that holds
 * the socket has not been recorded yet.
 */
static __always_inline void conclude(__u32 lane, struct sock *sk, int before)
{
	__u64 socket = (__u64)sk;
	struct connection *entry = bpf_map_lookup_elem(&connections, &socket);

	if (!entry || entry->state != CONNECTION_OPEN)
		return;
	note_end(entry, sk, before == TCP_FIN_WAIT1 || before == TCP_FIN_WAIT2 ||
				    before == TCP_CLOSING || before == TCP_LAST_ACK);
	if (!READ(sk, sk_lock.owned) && !has_unread(sk))
		tell_end(lane, socket, entry);
}

#endif
