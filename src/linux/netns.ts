/** Network namespaces with a name (ip-netns(8)): of their own for tests and benchmarks, or somebody's to open something in. */
import { spawnSync } from 'node:child_process';
import { closeSync, openSync, writeFileSync } from 'node:fs';
import { UnsupportedError } from '../errors.ts';
import { syscall } from './ffi.ts';
import { SyscallError } from './syscall-error.ts';

const CLONE_NEWNET = 0x4000_0000;

/** A namespace of one's own, with its loopback device down. Interfaces in it end with it. */
export class NetworkNamespace {
  readonly name: string;

  /** `name` must be nobody else's. Throws UnsupportedError where this may not be done. */
  constructor(name: string) {
    this.name = name;
    ip('netns', 'add', name);
  }

  /** Makes a call with this thread in the namespace. What it opens stays there. */
  run<T>(call: () => T): T {
    return inNamespace(this.name, call);
  }

  /** ip(8) in the namespace. */
  ip(...args: readonly string[]): void {
    ip('-n', this.name, ...args);
  }

  /** Interfaces that are made from now on have no IPv6, which speaks by itself when they go up. */
  disableIpv6(): void {
    this.run(() => writeFileSync('/proc/sys/net/ipv6/conf/default/disable_ipv6', '1'));
  }

  /** Takes an interface up on which the kernel says nothing by itself. */
  quietUp(interfaceName: string): void {
    this.ip('link', 'set', interfaceName, 'arp', 'off', 'multicast', 'off', 'addrgenmode', 'none');
    this.ip('link', 'set', interfaceName, 'up');
  }

  remove(): void {
    spawnSync('ip', ['netns', 'del', this.name]);
  }
}

/** Makes a call with this thread in a named network namespace. What it opens stays there. */
export function inNamespace<T>(namespace: string, call: () => T): T {
  const home = openSync('/proc/thread-self/ns/net', 'r');
  const other = openSync(`/var/run/netns/${namespace}`, 'r');
  try {
    enter(other);
    try {
      return call();
    } finally {
      enter(home);
    }
  } finally {
    closeSync(other);
    closeSync(home);
  }
}

/** ip(8); throws UnsupportedError with what it said. */
export function ip(...args: readonly string[]): void {
  const { error, status, stderr } = spawnSync('ip', args, { encoding: 'utf8' });
  if (error !== undefined) throw new UnsupportedError('iproute2', 'there is no ip(8)');
  if (status !== 0) throw new UnsupportedError('network namespaces', `ip ${args.join(' ')}: ${stderr.trim()}`);
}

function enter(namespace: number): void {
  const result = syscall('setns', namespace, CLONE_NEWNET);
  if (result < 0) throw new SyscallError('setns', -result);
}
