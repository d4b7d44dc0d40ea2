// Runs operations on traits by a program of bpf/metadata/, which takes them from a map and leaves their results there.
import type { LoadedObject } from '../src/runtime/handles.ts';

export const traitKinds = ['set', 'get', 'del', 'isSet'] as const;

export interface TraitOperation {
  readonly kind: (typeof traitKinds)[number];
  readonly key: bigint;
  readonly size: number;
  readonly byte: number;
}

/** struct operation of bpf/metadata/operations.h. */
const OPERATION_SIZE = 40;
const packet = Uint8Array.from({ length: 60 }, (_, i) => 255 - i);

/** Results, values read, and the packet with what lies before it. */
export function runOperations(object: LoadedObject, operations: readonly TraitOperation[]) {
  writeOperations(object, operations);
  const [program] = Object.values(object.programs);
  const { returnValue, data } = program!.run({ data: packet });
  return { returnValue, data: Buffer.from(data!).toString('hex'), results: readResults(object, operations) };
}

/** Puts the operations where the program finds them. */
export function writeOperations(object: LoadedObject, operations: readonly TraitOperation[]): void {
  const { operations: map, '.bss': globals } = object.maps;
  const key = new Uint8Array(4);
  for (const [index, { kind, key: trait, size, byte }] of operations.entries()) {
    const value = new Uint8Array(OPERATION_SIZE);
    const view = new DataView(value.buffer);
    view.setUint32(0, traitKinds.indexOf(kind), true);
    view.setUint32(4, size, true);
    view.setBigUint64(8, trait, true);
    value.fill(byte, 16, 32);
    new DataView(key.buffer).setUint32(0, index, true);
    map!.raw.update(key, value);
  }
  const count = new Uint8Array(4);
  new DataView(count.buffer).setUint32(0, operations.length, true);
  globals!.raw.update(new Uint8Array(4), count);
}

/** Value and result of each, after a run. */
export function readResults(object: LoadedObject, operations: readonly TraitOperation[]): string[] {
  const key = new Uint8Array(4);
  return operations.map((_, index) => {
    new DataView(key.buffer).setUint32(0, index, true);
    return Buffer.from(object.maps.operations!.raw.lookup(key)!.subarray(16, 36)).toString('hex');
  });
}
