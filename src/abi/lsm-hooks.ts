/** What Linux 6.18 says of single LSM hooks (kernel/bpf/bpf_lsm.c); the hooks themselves are the functions `bpf_lsm_NAME` of the kernel's BTF. */

function hooks(names: string): ReadonlySet<string> {
  return new Set(names.split(' '));
}

/** No program may be attached: what they give back is more than an error number. */
export const disabledLsmHooks: ReadonlySet<string> = hooks(
  'vm_enough_memory inode_need_killpriv inode_getsecurity inode_listsecurity inode_copy_up_xattr getselfattr getprocattr ' +
    'setprocattr key_getsecurity audit_rule_match ismaclabel',
);

/** Called where one may sleep. */
export const sleepableLsmHooks: ReadonlySet<string> = hooks(
  'bpf bpf_map bpf_map_create bpf_map_free bpf_prog bpf_prog_load bpf_prog_free bpf_token_create bpf_token_free ' +
    'bpf_token_cmd bpf_token_capable bprm_check_security bprm_committed_creds bprm_committing_creds bprm_creds_for_exec ' +
    'bprm_creds_from_file capget capset cred_prepare file_ioctl file_lock file_open file_post_open file_receive inode_create ' +
    'inode_free_security inode_getattr inode_getxattr inode_mknod inode_need_killpriv inode_post_setxattr ' +
    'inode_post_removexattr inode_readlink inode_removexattr inode_rename inode_rmdir inode_setattr inode_setxattr ' +
    'inode_symlink inode_unlink kernel_module_request kernel_read_file kernfs_init_security path_unlink path_mkdir path_rmdir ' +
    'path_truncate path_symlink path_link path_rename path_chmod path_chown mmap_file netlink_send path_notify release_secctx ' +
    'sb_alloc_security sb_eat_lsm_opts sb_kern_mount sb_mount sb_remount sb_set_mnt_opts sb_show_options sb_statfs sb_umount ' +
    'settime inet_conn_established socket_accept socket_bind socket_connect socket_create socket_getpeername ' +
    'socket_getpeersec_dgram socket_getsockname socket_getsockopt socket_listen socket_post_create socket_recvmsg ' +
    'socket_sendmsg socket_shutdown socket_socketpair syslog task_alloc task_prctl task_setscheduler task_to_inode ' +
    'userns_create',
);

/** Their arguments may be half made, or half gone. */
export const untrustedLsmHooks: ReadonlySet<string> = hooks(
  'bpf_map_free bpf_prog_free file_alloc_security file_free_security sk_alloc_security sk_free_security task_free',
);

/** Return 0 or 1; all others 0 or a negative error number. */
export const booleanLsmHooks: ReadonlySet<string> = hooks(
  'xfrm_state_pol_flow_match audit_rule_known inode_xattr_skipcap',
);

/** Those of lsm_cgroup programs that may call bpf_getsockopt and bpf_setsockopt. */
export const socketOptionLsmHooks: ReadonlySet<string> = hooks(
  'sock_graft inet_csk_clone inet_conn_established socket_post_create socket_socketpair',
);
