/** Sequences of steps over objects/ownership.bpf.c: generated, run on a loaded object, and held against the model. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { InputError } from '../src/errors.ts';
import { readObject } from '../src/object/index.ts';
import type { ObjectSpec } from '../src/object/spec.ts';
import type { LoadedObject } from '../src/runtime/handles.ts';
import { clangs, compileBpf } from './clang.ts';
import {
  NOTHING,
  OPS,
  type Op,
  type Outcome,
  type OwnershipModel,
  ROOTS,
  SLOTS,
  type TableName,
} from './ownership-model.ts';

const folder = (path: string) => fileURLToPath(new URL(path, import.meta.url));

export function compileOwnership(): ObjectSpec {
  const flags = ['-nostdinc', `-I${folder('../bpf/include')}`, `-I${folder('../bpf/bench')}`];
  const clang = clangs[0] === undefined ? {} : { clang: clangs[0] };
  const source = readFileSync(folder('objects/ownership.bpf.c'), 'utf8');
  return readObject(compileBpf(source, { flags, ...clang }), 'ownership');
}

/** What is done from outside of programs. */
const OUTSIDE = [
  'update_table',
  'update_table_dynamic',
  'remove_table',
  'remove_table_dynamic',
  'update_slot',
  'update_root',
] as const;
type Outside = (typeof OUTSIDE)[number];
export type Action = { readonly op: Op | Outside; readonly a: number; readonly b: number; readonly c: number };

/** More keys than the tables take. */
const KEYS = SLOTS + 2;

/** @param without Operations that are left out. */
export function actions(without: (op: Op) => boolean = () => false): fc.Arbitrary<Action[]> {
  const ops: readonly (Op | Outside)[] = [...OPS.filter((op) => !without(op)), ...OUTSIDE];
  // Tables have elements most of the time, and slots objects.
  const often = (op: Op | Outside) =>
    /^(insert|make_node|share)/.test(op) || op.startsWith('update_table') ? 4 : op.startsWith('make') ? 2 : 1;
  const op = fc.oneof(...ops.map((each) => ({ weight: often(each), arbitrary: fc.constant(each) })));
  const action = fc.record({ op, a: fc.nat(SLOTS - 1), b: fc.nat(KEYS - 1), c: fc.nat(3) }).map(reduced);
  return fc.array(action, { maxLength: 120 });
}

/** Numbers as the operation can use them. */
function reduced({ op, a, b, c }: Action): Action {
  if (/table/.test(op)) return { op, a, b, c };
  if (/^(insert|pop)_|root/.test(op)) return { op, a, b: b % ROOTS, c };
  return { op, a, b: b % SLOTS, c };
}

export function describeAction({ op, a, b, c }: Action): string {
  return `${op}(${a}, ${b}, ${c})`;
}

/** Does it to the loaded object. */
export function perform(object: LoadedObject, { op, a, b, c }: Action, id: number): Outcome {
  switch (op) {
    case 'update_table':
    case 'update_table_dynamic':
      return attempt(() => object.maps[op.slice(7)]!.raw.update(word(b), new Uint8Array(ENTRY)));
    case 'remove_table':
    case 'remove_table_dynamic':
      return { returnValue: object.maps[op.slice(7)]!.raw.delete(word(b)) ? 0 : -2, result: NOTHING };
    case 'update_slot':
      return attempt(() => object.maps['slots']!.raw.update(word(a), new Uint8Array(24)));
    case 'update_root':
      return attempt(() => object.maps['roots']!.raw.update(word(b), new Uint8Array(40)));
    default: {
      const data = new Uint8Array(64);
      const view = new DataView(data.buffer);
      for (const [i, value] of [a, b, c, id].entries()) view.setUint32(16 + 4 * i, value, true);
      const { returnValue, data: out } = object.programs[op]!.run({ data });
      const bytes = out!;
      const result = new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true);
      return { returnValue, result: returnValue === 2 ? result : 0n };
    }
  }
}

/** struct entry. */
const ENTRY = 64;

export function performOnModel(model: OwnershipModel, { op, a, b, c }: Action, id: number): Outcome {
  const done = { returnValue: 0, result: NOTHING };
  switch (op) {
    case 'update_table':
    case 'update_table_dynamic':
      // The names behind the verb are those of the maps.
      return model.updateTable(op.slice(7) as TableName, b) ? done : { returnValue: -7, result: NOTHING };
    case 'remove_table':
    case 'remove_table_dynamic':
      return model.deleteFromTable(op.slice(7) as TableName, b) ? done : { returnValue: -2, result: NOTHING };
    case 'update_slot':
      model.updateSlot(a);
      return done;
    case 'update_root':
      model.updateRoot(b);
      return done;
    default:
      return model.run({ op, a, b, c }, id);
  }
}

function attempt(call: () => void): Outcome {
  try {
    call();
    return { returnValue: 0, result: NOTHING };
  } catch (error) {
    // Only a full map may refuse; whatever else it is, the comparison shows it.
    if (error instanceof InputError && error.code === 'SLUICE_MAP_E2BIG') return { returnValue: -7, result: NOTHING };
    throw error;
  }
}

function word(value: number): Uint8Array {
  return new Uint8Array(Uint32Array.of(value).buffer);
}
