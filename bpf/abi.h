/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the kernel side writes and the user side reads: the records of the ring and the counters; and
 * what the user side sets at the start. crates/capture/src/abi.rs mirrors this file; its tests
 * compare every size and offset with the type information of the compiled object, so the two cannot
 * drift apart.
 *
 * Rules: fixed-width types only, no implicit padding, times in ns on CLOCK_MONOTONIC, addresses and
 * ports in network byte order, everything else in the machine's own.
 */
#ifndef ALAZ_ABI_H
#define ALAZ_ABI_H

/* Raised with every change of a layout below. Recordings carry it. */
#define ABI_VERSION 5

/* How much of one segment is copied: its first bytes, and its last when that leaves some out. */
#define HEAD_MAX 4096
#define TAIL_MAX 256
/* Of connections that are copied in depth, a call is told in so many segments at most. */
#define PARTS_MAX 16

/* Datagrams from or to these ports are told of; others are only counted. RFC 1035, RFC 6762. */
#define PORT_DNS 53
#define PORT_MDNS 5353

#define COMM_MAX 16
#define FILENAME_MAX 128
#define ARGUMENTS_MAX 256

/* What the loader tells the programs before they run. */
struct settings {
	/* Alaz's own process: its traffic is none of ours. */
	__u32 own_pid;
	/*
	 * Of tcp_recvmsg: 6 (before 5.19, with `nonblock` before the flags), 5 or 4 (without
	 * `addr_len` at the end). Distributions carry changes back, so the version does not tell.
	 */
	__u32 receive_arguments;
};

enum record_kind {
	RECORD_OPEN = 1,
	RECORD_SEGMENT = 2,
	RECORD_CLOSE = 3,
	RECORD_EXEC = 4,
	RECORD_EXIT = 5,
	RECORD_FORK = 6,
	RECORD_DATAGRAM = 7,
	RECORD_MEASURES = 8,
	RECORD_REFUSED = 9,
	RECORD_OPTED_OUT = 10,
};

enum connection_role {
	ROLE_UNKNOWN = 0,
	ROLE_CLIENT = 1,
	ROLE_SERVER = 2,
};

enum segment_direction {
	DIRECTION_SEND = 0,
	DIRECTION_RECEIVE = 1,
};

/* Where the bytes of a segment were read. */
enum segment_source {
	SOURCE_SOCKET = 0,
	/* A call of a TLS library: what is said, before encryption or after decryption. */
	SOURCE_TLS = 1,
};

/*
 * Positions in the plaintext of a TLS connection count from its first byte. From this one on they
 * count from anywhere: the beginning was not seen, or something was missed.
 */
#define PLAINTEXT_UNANCHORED (1ULL << 62)

/* Names one end of a connection: the socket, and when it was first seen in this life. */
struct connection_key {
	__u64 socket;
	__u64 generation;
};

/* A connection came into sight. */
struct open_record {
	__u32 kind;
	__u8 role;
	__u8 mid_stream;
	__u16 family;
	struct connection_key key;
	__u64 time;
	/* Of the next byte in each direction; see segment_record. */
	__u64 send_position;
	__u64 receive_position;
	__u8 local_address[16];
	__u8 remote_address[16];
	__u16 local_port;
	__u16 remote_port;
	__u32 network_namespace;
};

/* Bytes moved; head_length + tail_length bytes follow. */
struct segment_record {
	__u32 kind;
	__u32 length;
	struct connection_key key;
	/*
	 * Of the first byte: 64 bits wide, the low half is the TCP sequence number. Of what TLS
	 * libraries tell: so many bytes of plaintext came before.
	 */
	__u64 position;
	/* When the call ended. */
	__u64 time;
	/*
	 * Sends: when the transport last put something on the wire, if that can have been the
	 * first byte of this call; of a TLS library's call when it began. Else, and for receives, 0.
	 */
	__u64 sent;
	__u32 pid;
	__u32 tid;
	__u16 head_length;
	__u16 tail_length;
	__u8 direction;
	__u8 source;
	__u8 reserved[2];
};

/*
 * A UDP datagram that may be of a protocol that is read, told by its ports. Unlike a connection's
 * bytes it brings its addresses itself; the remote one is 0 where nobody named it. Of `call` neither
 * the position nor the generation mean anything.
 */
struct datagram_record {
	__u32 kind;
	__u16 family;
	__u16 reserved;
	__u8 local_address[16];
	__u8 remote_address[16];
	__u16 local_port;
	__u16 remote_port;
	__u32 network_namespace;
	struct segment_record call;
};

/* A connection ended. */
struct close_record {
	__u32 kind;
	/* The socket's error at its end, a positive errno, or 0. */
	__u32 error;
	struct connection_key key;
	__u64 time;
	/* Behind the last byte of each direction; what waited to be read is not counted in. */
	__u64 send_position;
	__u64 receive_position;
};

/* What the kernel measured on a connection; told just before its end. */
struct measures_record {
	__u32 kind;
	/* Segments that were sent again. */
	__u32 retransmits;
	struct connection_key key;
	__u64 time;
	/* From the SYN to the end of the handshake, in ns, where this side opened and that was seen. */
	__u64 handshake;
	/* In us; 0 where there was no measure. */
	__u32 round_trip;
	__u32 least_round_trip;
};

/* A process that was opted out uses the connection: nothing more is told of it, nor how it ends. */
struct opted_out_record {
	__u32 kind;
	__u32 reserved;
	struct connection_key key;
	__u64 time;
};

/* A connection that this side wanted to open never was. */
struct refused_record {
	__u32 kind;
	/* A positive errno; 0: given up by the application. */
	__u32 error;
	__u64 time;
	/* When the SYN was sent. */
	__u64 began;
	__u8 local_address[16];
	__u8 remote_address[16];
	__u16 local_port;
	__u16 remote_port;
	__u16 family;
	__u16 reserved;
	__u32 network_namespace;
	__u32 pid;
};

/* A program started in a process. */
struct exec_record {
	__u32 kind;
	__u32 pid;
	__u32 parent;
	__u16 filename_length;
	__u16 arguments_length;
	__u64 time;
	__u8 comm[COMM_MAX];
	__u8 filename[FILENAME_MAX];
	__u8 arguments[ARGUMENTS_MAX];
	/* Its environment says so; as far as that was looked at. */
	__u32 opted_out;
	__u32 reserved;
};

/* A process was born of another, and runs the same program. */
struct fork_record {
	__u32 kind;
	__u32 pid;
	__u32 parent;
	__u32 reserved;
	__u64 time;
};

/* A process ended. */
struct exit_record {
	__u32 kind;
	__u32 pid;
	__u64 time;
};

/* Segments and bytes. */
struct quantity {
	__u64 segments;
	__u64 bytes;
};

/* One per CPU; only ever grows. */
struct counters {
	/* Every socket call of TCP that moved bytes, whatever became of it. */
	struct quantity seen;
	/* No room in the ring. */
	struct quantity ring_full;
	/* No room in the table of connections. */
	struct quantity table_full;
	/*
	 * Moved, but not to be placed: of a call's two hooks the kernel ran only one, or it moved more
	 * messages than are looked at. Bytes as far as they are known.
	 */
	struct quantity hook_missed;
	/* Sent on, but the bytes could not be read: the page was not in memory. */
	struct quantity unreadable;
	/* Records other than segments that found no room in the ring. */
	__u64 events_lost;
	/* The same of UDP: all datagrams; those that nobody reads; no room; sent on without bytes. */
	struct quantity datagrams_seen;
	struct quantity datagrams_passed;
	struct quantity datagrams_ring_full;
	struct quantity datagrams_missed;
	struct quantity datagrams_unreadable;
	/*
	 * Calls of TLS libraries that moved plaintext; of those: no room in the ring; no socket call
	 * tells whose they are; only the end was seen, or another thread was preempted in the program
	 * (bytes as far as they are known); sent on without bytes.
	 */
	struct quantity tls_seen;
	struct quantity tls_ring_full;
	struct quantity tls_unlinked;
	struct quantity tls_missed;
	struct quantity tls_unreadable;
	/* By processes that were opted out, or on connections that such used: only counted. */
	struct quantity opted_out;
	struct quantity datagrams_opted_out;
};

#endif
