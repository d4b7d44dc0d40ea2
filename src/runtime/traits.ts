/** How the packets of a runtime keep their traits: which lengths values have, and where they lie (plane/layout/trait.ts). */
import { InputError } from '../errors.ts';
import { ROOT, ROOT_TRAIT_LAYOUT, ROOT_TRAIT_PLACEMENT } from '../plane/layout/memory.ts';
import {
  TRAITS_0_4_8,
  TRAITS_2_4_8,
  TRAITS_4_8_16,
  TRAITS_FRONT,
  TRAITS_META,
  TRAITS_SIDE,
  TRAITS_STATIC,
  TRAITS_TLV,
  TRAITS_WIDE,
} from '../plane/layout/trait.ts';
import { traitSizes } from '../traits/declaration.ts';

/**
 * Lengths of values in bytes; `wide`: 0, 1, 2, 4, 8 and 16, with a header of three words. For comparison, with the same lengths: `tlv`, a list that is walked, and
 * `static`, a struct in which a key has a place, and a length, from the first value of any packet on.
 */
export const traitLayouts = {
  '2-4-8': TRAITS_2_4_8,
  '0-4-8': TRAITS_0_4_8,
  '4-8-16': TRAITS_4_8_16,
  wide: TRAITS_WIDE,
  tlv: TRAITS_TLV,
  static: TRAITS_STATIC,
} as const;
export type TraitLayout = keyof typeof traitLayouts;

/** `front`: the beginning of the headroom; `meta`: the packet's metadata, where data_meta points to; `side`: beside the packet. */
export const traitPlacements = { front: TRAITS_FRONT, meta: TRAITS_META, side: TRAITS_SIDE } as const;
export type TraitPlacement = keyof typeof traitPlacements;

export interface TraitFormat {
  readonly layout: TraitLayout;
  readonly placement: TraitPlacement;
}

/** For the memory of a new runtime. Throws InputError `SLUICE_TRAITS` for a name that there is not. */
export function setTraitFormat(view: DataView, { layout = '0-4-8', placement = 'front' }: Partial<TraitFormat>): void {
  if (!(layout in traitLayouts))
    throw new InputError('SLUICE_TRAITS', `no layout of traits ${layout}: ${Object.keys(traitLayouts).join(', ')}`);
  if (!(placement in traitPlacements))
    throw new InputError(
      'SLUICE_TRAITS',
      `no placement of traits ${placement}: ${Object.keys(traitPlacements).join(', ')}`,
    );
  view.setUint32(ROOT + ROOT_TRAIT_LAYOUT, traitLayouts[layout], true);
  view.setUint32(ROOT + ROOT_TRAIT_PLACEMENT, traitPlacements[placement], true);
}

/** As numbers of plane/layout/trait.ts. */
export function traitConfiguration(view: DataView): { readonly layout: number; readonly placement: number } {
  return {
    layout: view.getUint32(ROOT + ROOT_TRAIT_LAYOUT, true),
    placement: view.getUint32(ROOT + ROOT_TRAIT_PLACEMENT, true),
  };
}

/** By the names that `metadata` has. */
export function traitFormat(view: DataView): TraitFormat {
  const { layout, placement } = traitConfiguration(view);
  return {
    layout: (Object.keys(traitLayouts) as TraitLayout[]).find((name) => traitLayouts[name] === layout)!,
    placement: (Object.keys(traitPlacements) as TraitPlacement[]).find((name) => traitPlacements[name] === placement)!,
  };
}

const sizes: Readonly<Record<TraitLayout, readonly number[]>> = {
  '2-4-8': [2, 4, 8],
  '0-4-8': [0, 4, 8],
  '4-8-16': [4, 8, 16],
  wide: traitSizes,
  tlv: traitSizes,
  static: traitSizes,
};

/** Lengths of values, in bytes. */
export function traitSizesOf(layout: TraitLayout): readonly number[] {
  return sizes[layout];
}
