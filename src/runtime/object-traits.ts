/** Traits that objects name (section `.traits`): their keys of a registry, held for as long as the object is loaded. */
import { InputError } from '../errors.ts';
import type { ObjectSpec } from '../object/spec.ts';
import { withTraitKeys } from '../object/traits.ts';
import type { TraitRegistry } from '../traits/registry.ts';
import { wellKnownTrait } from '../traits/well-known.ts';
import type { Runtime } from './runtime.ts';
import { traitFormat, traitSizesOf } from './traits.ts';

export interface NamedObject {
  /** With the keys in its instructions. */
  readonly object: ObjectSpec;
  /** Gives the keys back; a second call does nothing. */
  release(): void;
}

const nothing = () => {};

/** Throws InputError `SLUICE_TRAIT_EEXIST` for a name that is declared otherwise elsewhere, `SLUICE_TRAIT_ENOSPC` where no key is free. */
export function holdTraitsOf(registry: TraitRegistry, object: ObjectSpec): NamedObject {
  if (object.traits.length === 0) return { object, release: nothing };
  const { keys, release } = registry.hold(object.traits, object.name);
  return { object: withTraitKeys(object, keys), release };
}

/** As `holdTraitsOf`; `SLUICE_TRAITS` for lengths that the runtime's packets cannot have. */
export function holdTraits(runtime: Runtime, object: ObjectSpec): NamedObject {
  if (object.traits.length === 0) return { object, release: nothing };
  const { layout } = traitFormat(runtime.view());
  const sizes = traitSizesOf(layout);
  for (const { name, size } of object.traits)
    if (wellKnownTrait(name) === undefined && !sizes.includes(size))
      throw new InputError(
        'SLUICE_TRAITS',
        `trait ${name} has ${size} bytes, and packets of layout ${layout} have values of ${sizes.join(', ')} bytes: give the runtime another layout`,
        { input: object.name },
      );
  return holdTraitsOf(runtime.traits, object);
}
