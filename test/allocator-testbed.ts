/** Objects of bpf/mem/ under policies of allocators, as the tests of the scenarios load and run them. */
import { readFileSync } from 'node:fs';
import { afterEach, expect } from 'vitest';
import { load, type Runtime, type UserLoadOptions, type UserObject } from '../src/index.ts';
import type { KnownAllocator } from '../src/runtime/allocators/known-allocator.ts';
import { type PolicyName, policyNames } from '../src/runtime/allocators/policy.ts';
import { allocatorsOf } from '../src/runtime/allocators/store.ts';

/** Loaded, and not closed yet. */
export const open: UserObject[] = [];
afterEach(() => {
  for (const each of open.splice(0)) each.close();
});

/** Closed after the test. */
export async function use(name: string, runtime: Runtime, options: UserLoadOptions = {}): Promise<UserObject> {
  const bytes = readFileSync(`bpf/objects/mem/${name}.bpf.o`);
  const loaded = await load(bytes, { runtime, name: `${name}.bpf.o`, ...options });
  open.push(loaded);
  return loaded;
}
/** `words` are the first bytes of the packet. */
export function run(object: UserObject, program: string, ...words: number[]): number {
  const data = new Uint8Array(64);
  data.set(new Uint8Array(Uint32Array.from(words).buffer));
  return object.programs[program]!.run({ data }).returnValue;
}
export function named(runtime: Runtime, name: string): KnownAllocator {
  const found = allocatorsOf(runtime.plane)
    .all()
    .findLast((each) => each.name === name);
  if (found === undefined) throw new Error(`no allocator ${name}`);
  return found;
}
export const live = (runtime: Runtime, name: string) => named(runtime, name).stats()!.live;
export const globalLive = (runtime: Runtime) => allocatorsOf(runtime.plane).global.stats()!.live;
/** Accepted, or refused for a conflict of allocators. */
export async function verdict(loading: Promise<unknown>): Promise<'A' | 'R'> {
  try {
    await loading;
    return 'A';
  } catch (error) {
    expect(error).toMatchObject({ code: 'SLUICE_ALLOCATOR_CONFLICT' });
    return 'R';
  }
}
/** Of each policy, in the order of policyNames: global/dynamic/per-field/per-map. */
export async function verdicts(of: (policy: PolicyName) => Promise<unknown>): Promise<string> {
  const all: string[] = [];
  for (const policy of policyNames) all.push(await verdict(of(policy)));
  return all.join('/');
}
