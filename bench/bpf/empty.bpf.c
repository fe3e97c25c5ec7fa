// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Programs at the attach points of Alaz that do nothing: what hooking there costs in itself, on this
 * kernel and this machine. Whatever Alaz costs more than these is its own doing.
 */
#define SEC(name) __attribute__((section(name), used))

char LICENSE[] SEC("license") = "Dual BSD/GPL";

SEC("tp_btf/sys_exit")
int on_call_end(void *context)
{
	return 0;
}

SEC("tp_btf/inet_sock_set_state")
int on_state(void *context)
{
	return 0;
}

SEC("tp_btf/tcp_destroy_sock")
int on_destroy(void *context)
{
	return 0;
}

SEC("tp_btf/sched_process_exec")
int on_exec(void *context)
{
	return 0;
}

SEC("tp_btf/sched_process_fork")
int on_fork(void *context)
{
	return 0;
}

SEC("tp_btf/sched_process_exit")
int on_exit(void *context)
{
	return 0;
}

/* Alaz has none here; tracers that look at both ends of a call do. */
SEC("tp_btf/sys_enter")
int on_call_begin(void *context)
{
	return 0;
}
