/**
 * abi/stability/: what is promised about the interfaces that objects are built against: helpers, kfuncs, fields of contexts, map and program types.
 *
 * This file: all of them as a list. What does not change of a `stable` one is what its fingerprint is made of; an `experimental` one may change with any
 * version that says so (withdrawn.ts). docs/stability.md is the promise in words.
 */

import { helpers } from '../helpers/index.ts';
import { iouringHelpers } from '../helpers/iouring.ts';
import { kfuncPrototypes } from '../kfunc-prototypes.ts';
import { kfuncs } from '../kfuncs.ts';
import { type MapTypeName, mapTypes } from '../map-types.ts';
import { ownKfuncs } from '../own-kfuncs.ts';
import type { ContextField, ProgramDeclaration } from '../program-declaration.ts';
import { programDeclarations } from '../programs/index.ts';
import type { HelperPrototype, Stability } from '../prototype.ts';
import { fingerprint } from './fingerprint.ts';

export type InterfaceKind = 'program type' | 'context field' | 'helper' | 'kfunc' | 'map type';

export interface AbiInterface {
  readonly kind: InterfaceKind;
  /** `xdp`; `xdp/xdp_md.data`; `bpf_map_lookup_elem`; `bpf_xdp_trait_set`; `hash`. */
  readonly name: string;
  /** In words of the kind: C for kfuncs, kinds of arguments for helpers, place and rights for fields, the number for types. */
  readonly prototype: string;
  /** `Linux`, `Linux 7.1` for what came after 6.18, or `Sluice`. */
  readonly origin: string;
  readonly stability: Stability;
  readonly fingerprint: string;
}

const FIRST: Stability = { level: 'stable', since: '0.1.0' };

function promise(
  kind: InterfaceKind,
  name: string,
  prototype: string,
  origin: string,
  stability: Stability,
): AbiInterface {
  return { kind, name, prototype, origin, stability, fingerprint: fingerprint(`${kind} ${name} ${prototype}`) };
}

/** Numbers of that type are its own, and some names have two. */
export const ownHelperName = ({ name, id }: Pick<HelperPrototype, 'name' | 'id'>) => `iouring/${name}#${id}`;

function helperInterface(helper: HelperPrototype): AbiInterface {
  const sizes = Object.entries(helper.fixedSize ?? {}).map(([argument, size]) => ` r${Number(argument) + 1}=${size}`);
  const prototype = `#${helper.id} ${helper.returns}(${helper.args.join(', ')})${sizes.join('')}`;
  return promise('helper', helper.name, prototype, 'Linux', helper.stability);
}

/** Names of arguments are not part of it, but for what follows their last two underscores. */
const withoutNames = (prototype: string) =>
  prototype.replace(/\w+?(__\w+)?(?=[,)])/g, (_, suffix: string | undefined) => suffix ?? '');

function kfuncInterface(name: string): AbiInterface {
  const own = ownKfuncs.get(name);
  const text = own?.prototype ?? kfuncPrototypes[name];
  if (text === undefined) throw new RangeError(`kfunc ${name} has no prototype`);
  const origin = own === undefined ? 'Linux' : own.since === undefined ? 'Sluice' : `Linux ${own.since}`;
  const since = kfuncs.get(name)?.since ?? FIRST.since;
  const made = promise('kfunc', name, text, origin, own?.stability ?? { ...FIRST, since });
  return { ...made, fingerprint: fingerprint(`kfunc ${name} ${withoutNames(text)}`) };
}

const originOf = (since: string) => (since.startsWith('Sluice') ? 'Sluice' : 'Linux');

function fieldInterface(
  { type, context, stability: ofType, since }: ProgramDeclaration,
  field: ContextField,
): AbiInterface {
  const { offset, size, kind, write, stability = ofType } = field;
  const prototype = `${size} bytes at ${offset}, ${kind}, ${write ? 'read and written' : 'read'}`;
  return promise('context field', `${type}/${context.struct}.${field.name}`, prototype, originOf(since), stability);
}

/** All that is declared, whether it runs here or not (runtime/offered.ts says which), in the order of kinds and of their tables. */
export function interfaces(): readonly AbiInterface[] {
  const declarations = [...programDeclarations.values()];
  return [
    ...declarations.map(({ type, context, stability, since }) =>
      promise('program type', type, `struct ${context.struct} of ${context.size} bytes`, originOf(since), stability),
    ),
    ...declarations.flatMap((each) => each.context.fields.map((field) => fieldInterface(each, field))),
    ...[...helpers.values()].map(helperInterface),
    ...iouringHelpers.map((each) => ({ ...helperInterface({ ...each, name: ownHelperName(each) }), origin: 'Sluice' })),
    ...[...kfuncs.keys()].map(kfuncInterface),
    // Keys of the table.
    ...(Object.keys(mapTypes) as MapTypeName[]).map((name) =>
      promise(
        'map type',
        name,
        `#${mapTypes[name]}`,
        name === 'allocator' ? 'Sluice' : name === 'insn_array' ? 'Linux 6.19' : 'Linux',
        FIRST,
      ),
    ),
  ];
}
