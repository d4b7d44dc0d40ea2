// Maps of objects and maps that hang on objects, through long random sequences from user space and from a program, as test/map-sequences.test.ts does for the others.
import { afterAll, beforeAll, describe, it } from 'vitest';
import { possibleCpus } from '../src/linux/cpus.ts';
import { clangs } from './clang.ts';
import { arenaBed, compileArena } from './object-sequences/arenas.ts';
import { type Bed, runBed } from './object-sequences/bed.ts';
import { type CgroupStorageMap, cgroupStorageBed, compileCgroupStorage } from './object-sequences/cgroup-storages.ts';
import { cgroupArrayBed, compileCgroupArray } from './object-sequences/groups.ts';
import { compilePerfEvents, perfEventsBed } from './object-sequences/perf-events.ts';
import { compileProgArray, progArrayBed } from './object-sequences/programs.ts';
import {
  compileSocketMap,
  type KernelSockets,
  openSockets,
  type SocketMap,
  socketBed,
} from './object-sequences/sockets.ts';
import { compileStackTraces, stackTraceBed } from './object-sequences/stack-traces.ts';
import {
  compileStorageMap,
  type KernelOwners,
  openOwners,
  type StorageMap,
  storageBed,
} from './object-sequences/storages.ts';
import { compileStructOps, structOpsBed } from './object-sequences/struct-ops.ts';
import { agree, count, HOURS, missing, pinToOurCpu, seed } from './sequence-rounds.ts';

/** Rounds of a bed of its own each. */
function agreeOn(title: string, make: (round: number) => Promise<Bed>): Promise<void> {
  return agree(title, async (start, operations) => {
    const bed = await make(start);
    try {
      return runBed(bed, start, operations);
    } finally {
      bed.close();
    }
  });
}

const socketMaps: readonly SocketMap[] = [
  { type: 'sockmap', keySize: 4, valueSize: 4, maxEntries: 6 },
  { type: 'sockmap', keySize: 4, valueSize: 8, maxEntries: 6 },
  { type: 'sockhash', keySize: 4, valueSize: 4, maxEntries: 6 },
  { type: 'sockhash', keySize: 7, valueSize: 8, maxEntries: 6 },
  { type: 'reuseport_sockarray', keySize: 4, valueSize: 4, maxEntries: 6 },
  { type: 'reuseport_sockarray', keySize: 4, valueSize: 8, maxEntries: 6 },
];
const storages: readonly StorageMap[] = [
  { type: 'sk_storage', locked: false },
  { type: 'sk_storage', locked: true },
  { type: 'task_storage', locked: false },
  { type: 'task_storage', locked: true },
  { type: 'inode_storage', locked: true },
  { type: 'cgrp_storage', locked: true },
];

const cgroupStorages: readonly CgroupStorageMap[] = [
  { type: 'cgroup_storage', valueSize: 12 },
  { type: 'percpu_cgroup_storage', valueSize: 12 },
];
const newClang = clangs.find((name) => ['clang-22', 'clang-19'].includes(name));

describe.skipIf(missing !== undefined)(
  `objects in sequences of ${count} operations from seed ${seed}${missing ? ` (skipped: ${missing})` : ''}`,
  () => {
    pinToOurCpu();
    let sockets: KernelSockets;
    let owners: KernelOwners;
    beforeAll(async () => {
      sockets = await openSockets();
      owners = openOwners();
    });
    afterAll(() => {
      sockets.close();
      owners.close();
    });

    it.each(socketMaps)('$type, values of $valueSize bytes', { timeout: HOURS }, async (each) => {
      const bytes = compileSocketMap(each);
      await agreeOn(`${each.type}, values of ${each.valueSize} bytes`, (round) =>
        socketBed(each, bytes, sockets, BigInt(round)),
      );
    });

    it.each([true, false])('prog_array, with an owner: %s', { timeout: HOURS }, async (owner) => {
      const bytes = compileProgArray(owner);
      await agreeOn(`prog_array${owner ? ' with an owner' : ''}`, (round) => progArrayBed(bytes, owner, BigInt(round)));
    });

    it.skipIf(newClang === undefined).each([false, true])(
      `arena, reserving: %s${newClang === undefined ? ' (skipped: no clang 19 or later)' : ''}`,
      { timeout: HOURS },
      async (reserving) => {
        const bytes = compileArena(newClang!);
        await agreeOn(`arena${reserving ? ' with reserved pages' : ''}`, (round) =>
          arenaBed(bytes, reserving, BigInt(round)),
        );
      },
    );

    it('cgroup_array', { timeout: HOURS }, async () => {
      const bytes = compileCgroupArray();
      await agreeOn('cgroup_array', (round) => cgroupArrayBed(bytes, owners, BigInt(round)));
    });

    it('struct_ops', { timeout: HOURS }, async () => {
      const bytes = compileStructOps();
      await agreeOn('struct_ops', (round) => structOpsBed(bytes, BigInt(round)));
    });

    it('stack_trace', { timeout: HOURS }, async () => {
      const bytes = compileStackTraces();
      await agreeOn('stack_trace', (round) => stackTraceBed(bytes, BigInt(round)));
    });

    it.each(cgroupStorages)('$type', { timeout: HOURS }, async (each) => {
      const bytes = compileCgroupStorage(each);
      await agreeOn(each.type, (round) => cgroupStorageBed(each, bytes, owners, possibleCpus(), BigInt(round)));
    });

    it('perf_event_array', { timeout: HOURS }, async () => {
      const bytes = compilePerfEvents();
      await agreeOn('perf_event_array', (round) => perfEventsBed(bytes, possibleCpus(), BigInt(round)));
    });

    it.each(storages)('$type, spin lock: $locked', { timeout: HOURS }, async (each) => {
      // One map for all rounds: one that goes takes its storage from the same objects later, and what asks them meanwhile may get EAGAIN.
      const bed = await storageBed(each, compileStorageMap(each), owners, sockets, BigInt(seed));
      try {
        await agree(`${each.type}${each.locked ? ' with a spin lock' : ''}`, async (start, operations) =>
          runBed(bed, start, operations),
        );
      } finally {
        bed.close();
      }
    });
  },
);
