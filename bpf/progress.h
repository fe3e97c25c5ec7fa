/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* How far the two streams of a connection have come. */
#ifndef ALAZ_PROGRESS_H
#define ALAZ_PROGRESS_H

#include "shared.h"

/*
 * Stream positions: how many bytes have passed so far, with the sequence number in the low half.
 * The counts are read while packets arrive; being a little off does not change the result.
 */
static __always_inline __u64 position_at(__u32 sequence, __u64 passed)
{
	return passed + (__u32)(sequence - (__u32)passed);
}

static __always_inline __u64 bytes_sent(struct tcp_sock *tcp, __u32 sequence)
{
	return READ(tcp, bytes_acked) + (__u32)(sequence - READ(tcp, snd_una));
}

static __always_inline __u64 bytes_consumed(struct tcp_sock *tcp, __u32 sequence)
{
	return READ(tcp, bytes_received) - (__u32)(READ(tcp, rcv_nxt) - sequence);
}

static __always_inline bool has_peer_finished(struct sock *sk)
{
	return READ(sk, __sk_common.skc_flags) & (1 << SOCK_DONE);
}

/* Up to where the stream has been received. The peer's FIN takes a number too, and is no byte. */
static __always_inline __u32 received_sequence(struct sock *sk, struct tcp_sock *tcp)
{
	__u32 sequence = READ(tcp, copied_seq);

	/* It is the last, and passed by the call that takes the last byte. */
	if (sequence == READ(tcp, rcv_nxt) && has_peer_finished(sk))
		sequence--;
	return sequence;
}

/* Whether bytes wait to be read; a FIN alone does not count. */
static __always_inline bool has_unread(struct sock *sk)
{
	struct tcp_sock *tcp = KERNEL_POINTER(struct tcp_sock, sk);
	__u32 waiting = READ(tcp, rcv_nxt) - READ(tcp, copied_seq);

	return waiting > (has_peer_finished(sk) ? 1 : 0);
}

/* Where both directions stand. */
struct progress {
	__u64 sent;
	__u64 consumed;
	__u64 send_position;
	__u64 receive_position;
};

static __always_inline void read_progress(struct sock *sk, struct progress *progress)
{
	struct tcp_sock *tcp = KERNEL_POINTER(struct tcp_sock, sk);
	__u32 written = READ(tcp, write_seq);
	__u32 read = received_sequence(sk, tcp);

	progress->sent = bytes_sent(tcp, written);
	progress->consumed = bytes_consumed(tcp, read);
	progress->send_position = position_at(written, progress->sent);
	progress->receive_position = position_at(read, progress->consumed);
}

#endif
