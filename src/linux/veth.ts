/** A pair of virtual interfaces, one end here and one in a network namespace of its own, made by iproute2: for tests and benchmarks. */
import { spawnSync } from 'node:child_process';
import { UnsupportedError } from '../errors.ts';
import { inNamespace, ip } from './netns.ts';

export class VethPair {
  readonly namespace: string;
  /** Name of the end in this namespace, and of the other one. */
  readonly here: string;
  readonly there: string;

  /** `tag`: at most 8 characters that are nobody else's; `queues` of each end, each way. Both ends are up, without addresses, quiet. Throws UnsupportedError where this may not be done. */
  constructor(tag: string, queues = 1) {
    const each = ['numrxqueues', String(queues), 'numtxqueues', String(queues)];
    this.namespace = `sluice-${tag}`;
    this.here = `sva${tag}`;
    this.there = `svb${tag}`;
    try {
      ip('netns', 'add', this.namespace);
      ip(
        'link',
        'add',
        this.here,
        ...each,
        'type',
        'veth',
        'peer',
        'name',
        this.there,
        ...each,
        'netns',
        this.namespace,
      );
      ip('link', 'set', this.here, 'arp', 'off', 'multicast', 'off', 'addrgenmode', 'none');
      ip('-n', this.namespace, 'link', 'set', this.there, 'arp', 'off', 'multicast', 'off', 'addrgenmode', 'none');
      ip('link', 'set', this.here, 'up');
      ip('-n', this.namespace, 'link', 'set', this.there, 'up');
    } catch (error) {
      this.remove();
      throw error;
    }
  }

  /** As the function of that name, in the namespace of the other end. */
  inNamespace<T>(call: () => T): T {
    return inNamespace(this.namespace, call);
  }

  remove(): void {
    spawnSync('ip', ['link', 'del', this.here]);
    spawnSync('ip', ['netns', 'del', this.namespace]);
  }
}

/** Why pairs cannot be made here; undefined where they can. */
export function vethRefusal(): string | undefined {
  try {
    new VethPair(`p${process.pid}`).remove();
    return undefined;
  } catch (error) {
    if (error instanceof UnsupportedError) return error.message;
    throw error;
  }
}
