/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The few kernel structures that are read, with only the members that are read. Offsets are those
 * of the running kernel, filled in at load time (CO-RE), so order and size here mean nothing.
 */
#ifndef ALAZ_KERNEL_H
#define ALAZ_KERNEL_H

typedef unsigned char __u8;
typedef unsigned short __u16;
typedef unsigned int __u32;
typedef unsigned long long __u64;
typedef signed char __s8;
typedef short __s16;
typedef int __s32;
typedef long long __s64;
typedef __u16 __be16;
typedef __u32 __be32;
typedef __u64 __be64;
typedef __u32 __wsum;
typedef unsigned long size_t;
typedef _Bool bool;
#define true 1
#define false 0

enum bpf_map_type {
	BPF_MAP_TYPE_HASH = 1,
	BPF_MAP_TYPE_ARRAY = 2,
	BPF_MAP_TYPE_PERCPU_ARRAY = 6,
	BPF_MAP_TYPE_LRU_HASH = 9,
	BPF_MAP_TYPE_RINGBUF = 27,
};

#define BPF_ANY 0
#define BPF_NOEXIST 1
#define BPF_RB_NO_WAKEUP 1

#define AF_INET 2
#define AF_INET6 10
#define IPPROTO_TCP 6
#define IPPROTO_UDP 17
#define S_IFMT 00170000
#define S_IFSOCK 0140000
#define MSG_OOB 1
#define MSG_PEEK 2
#define MSG_TRUNC 0x20
#define MSG_ERRQUEUE 0x2000
/* include/uapi/linux/uio.h */
#define UIO_MAXIOV 1024
/* include/linux/sched.h: a thread of the kernel's own. */
#define PF_KTHREAD 0x00200000

/* include/net/tcp_states.h */
#define TCP_ESTABLISHED 1
#define TCP_SYN_SENT 2
#define TCP_SYN_RECV 3
#define TCP_FIN_WAIT1 4
#define TCP_FIN_WAIT2 5
#define TCP_CLOSE 7
#define TCP_LAST_ACK 9
#define TCP_CLOSING 11
/* include/net/sock.h, enum sock_flags: the peer has finished. */
#define SOCK_DONE 1

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

#if defined(__TARGET_ARCH_x86)
struct pt_regs {
	unsigned long r10, r9, r8, ax, cx, dx, si, di, orig_ax, cs, sp;
};
#elif defined(__TARGET_ARCH_arm64)
struct pt_regs {
	__u64 regs[31];
	__u64 sp;
	__u64 pstate;
	__u64 orig_x0;
	__s32 syscallno;
};
#endif

struct in6_addr {
	union {
		__u8 u6_addr8[16];
	} in6_u;
};

struct ns_common {
	unsigned int inum;
};

struct net {
	struct ns_common ns;
};

typedef struct {
	struct net *net;
} possible_net_t;

struct sock_common {
	__u64 skc_addrpair;
	__be32 skc_daddr;
	__be32 skc_rcv_saddr;
	__u32 skc_portpair;
	__be16 skc_dport;
	__u16 skc_num;
	unsigned short skc_family;
	volatile unsigned char skc_state;
	unsigned long skc_flags;
	possible_net_t skc_net;
	struct in6_addr skc_v6_daddr;
	struct in6_addr skc_v6_rcv_saddr;
};

/* Who holds the socket: a call that is under way. */
typedef struct {
	int owned;
} socket_lock_t;

struct sock {
	struct sock_common __sk_common;
	socket_lock_t sk_lock;
	__u16 sk_protocol;
	int sk_err;
};

struct minmax_sample {
	__u32 v;
};

struct minmax {
	struct minmax_sample s[3];
};

/* A TCP socket begins with its struct sock, so one pointer serves for both. */
struct tcp_sock {
	__u32 rcv_nxt;
	__u32 copied_seq;
	__u32 snd_una;
	__u32 snd_nxt;
	__u32 write_seq;
	__u64 bytes_received;
	__u64 bytes_acked;
	__u64 tcp_wstamp_ns;
	__u32 total_retrans;
	/* In eighths. */
	__u32 srtt_us;
	struct minmax rtt_min;
};

/* The local port, which stays when the socket has given it back. */
struct inet_sock {
	__be16 inet_sport;
};

struct inet_connection_sock {
	const void *icsk_ulp_ops;
};

struct socket {
	struct sock *sk;
};

/* include/linux/uio.h; the numbers differ between kernels, so only the names count. */
enum iter_type {
	ITER_IOVEC,
	ITER_UBUF,
};

struct iov_iter {
	__u8 iter_type;
	size_t iov_offset;
	size_t count;
	/* One buffer, since 6.0. */
	void *ubuf;
	/* Several; the first name is that of kernels before 6.4. */
	const void *iov;
	const void *__iov;
};

/* Before 5.14: the type and, in its lowest bit, the direction. */
struct iov_iter___before_5_14 {
	unsigned int type;
};

struct msghdr {
	void *msg_name;
	struct iov_iter msg_iter;
};

struct inode {
	__u16 i_mode;
};

struct file {
	struct inode *f_inode;
	void *private_data;
};

struct fdtable {
	unsigned int max_fds;
	struct file **fd;
};

struct files_struct {
	struct fdtable *fdt;
};

struct mm_struct {
	unsigned long arg_start;
	unsigned long arg_end;
	unsigned long env_start;
	unsigned long env_end;
};

struct task_struct {
	int pid;
	int tgid;
	unsigned int flags;
	char comm[16];
	struct task_struct *real_parent;
	struct files_struct *files;
	struct mm_struct *mm;
};

struct trace_event_raw_sys_exit {
	long ret;
};

struct linux_binprm {
	const char *filename;
};

#pragma clang attribute pop

/* The applications' own layouts, not the kernel's: fixed by the syscall ABI. */
struct user_iovec {
	__u64 base;
	__u64 length;
};

/* sockaddr_in and sockaddr_in6 (ip(7), ipv6(7)). */
struct user_address {
	__u16 family;
	__be16 port;
	/* IPv4: the address; IPv6: flow information. */
	__u32 first;
	__u8 address[16];
};

struct user_msghdr {
	__u64 name;
	__u32 name_length;
	__u32 padding;
	__u64 vector;
	__u64 vector_length;
	__u64 control;
	__u64 control_length;
	__u32 flags;
	__u32 more_padding;
};

/* Of several in one call: the message, and how many bytes it moved. */
struct user_mmsghdr {
	struct user_msghdr message;
	__u32 length;
	__u32 padding;
};

#endif
