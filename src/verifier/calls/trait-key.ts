/**
 * Keys and lengths in calls of bpf_xdp_trait_* and bpf_skb_trait_*, for objects that name their traits: a key must be a constant, one that the object names (or the system's), and
 * the length its own. Nothing of this is Linux's: the patches for traits were to check that keys are registered, and left names to loaders.
 */
import type { TraitSpec } from '../../object/spec.ts';
import { SYSTEM_KEY, wellKnownTraits } from '../../traits/well-known.ts';
import { markPrecise } from '../states/precision.ts';
import { exactConstantOf, isConstant, umaxOf, uminOf } from '../states/records.ts';
import type { Verification } from '../verification.ts';

const CALL = /^bpf_(?:xdp|skb)_trait_(set|get|is_set|del)$/;

const KEY = 2;
const SIZE = 4;

export function checkTrait(v: Verification, name: string): void {
  const operation = CALL.exec(name)?.[1];
  if (operation === undefined) return;
  const r = v.register(KEY);
  const declared = v.program.traits ?? [];
  if (!isConstant(r))
    refuse(
      v,
      'trait-key',
      `R${KEY} must be a known constant: the key of a trait`,
      `The object names its traits, so each call says which: ${name}(ctx, bpf_trait_key(NAME), …).`,
    );
  markPrecise(v, KEY);
  const key = exactConstantOf(r);
  const trait = traitOf(declared, key);
  if (trait === undefined)
    refuse(
      v,
      'trait-key',
      `trait key ${textOf(key)} is not registered`,
      `The object names ${declared.map((each) => `${each.name} (${textOf(each.key)})`).join(', ') || 'none'}. Declare the trait in it, TRAIT(NAME, SIZE, POLICY), and use bpf_trait_key(NAME).`,
    );
  if (operation !== 'set' && operation !== 'get') return;
  const size = v.register(SIZE);
  const [least, most] = [uminOf(size), umaxOf(size)];
  const given = least === most ? `${least}` : `${least} to ${most}`;
  const fits = operation === 'set' ? least === trait.size && most === trait.size : most >= trait.size;
  if (fits) return;
  markPrecise(v, SIZE);
  refuse(
    v,
    'trait-length',
    `trait ${trait.name} (key ${textOf(key)}) has ${trait.size} bytes, R${SIZE} says ${given}`,
    operation === 'set'
      ? 'Values are set with the length that the trait was declared with.'
      : 'A value never fits into a buffer that is shorter.',
  );
}

function traitOf(
  declared: readonly TraitSpec[],
  key: bigint,
): { readonly name: string; readonly size: number } | undefined {
  return key < SYSTEM_KEY ? declared.find((each) => each.key === key) : wellKnownTraits[Number(key - SYSTEM_KEY)];
}

function textOf(key: bigint): string {
  return key < SYSTEM_KEY ? `${key}` : `2^63+${key - SYSTEM_KEY}`;
}

function refuse(v: Verification, id: string, problem: string, reason: string): never {
  v.refuse(id, 'Call Type Safety', problem, reason);
}
