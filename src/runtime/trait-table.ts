/** The registry of traits as the plane finds it: TRAIT_TABLE_* and ROOT_TRAIT_POLICIES in the runtime's memory. */
import { ROOT, ROOT_TRAIT_POLICIES, TRAIT_TABLE } from '../plane/layout/memory.ts';
import {
  TRAIT_KEYS,
  TRAIT_TABLE_EPOCH,
  TRAIT_TABLE_EPOCHS,
  TRAIT_TABLE_FREED,
  TRAIT_TABLE_REGISTERED,
  TRAIT_TABLE_SIZES,
} from '../plane/layout/trait.ts';
import { mergePolicies } from '../traits/declaration.ts';
import { TraitRegistry } from '../traits/registry.ts';
import type { PlaneInstance } from './plane.ts';

/** `registry`, or one of the runtime's own; either way it is in the memory from now on, with all that is changed in it. */
export function registryFor(plane: PlaneInstance, registry: TraitRegistry = new TraitRegistry()): TraitRegistry {
  // A registry may outlive many runtimes.
  const weak = new WeakRef(plane);
  const end = registry.onChange(() => {
    const alive = weak.deref();
    if (alive === undefined) end();
    else write(alive.view(), registry);
  });
  write(plane.view(), registry);
  return registry;
}

function write(view: DataView, registry: TraitRegistry): void {
  let registered = 0n;
  let freed = 0n;
  for (let key = 0; key < TRAIT_KEYS; key++) {
    const trait = registry.at(key);
    const voidBefore = registry.voidBefore(key);
    if (trait !== undefined) registered |= 1n << BigInt(key);
    else if (voidBefore !== 0) freed |= 1n << BigInt(key);
    view.setUint8(ROOT + ROOT_TRAIT_POLICIES + key, trait === undefined ? 0 : mergePolicies[trait.policy]);
    view.setUint8(TRAIT_TABLE + TRAIT_TABLE_SIZES + key, trait?.size ?? 0);
    view.setUint32(TRAIT_TABLE + TRAIT_TABLE_EPOCHS + key * 4, voidBefore, true);
  }
  view.setBigUint64(TRAIT_TABLE + TRAIT_TABLE_REGISTERED, registered, true);
  view.setBigUint64(TRAIT_TABLE + TRAIT_TABLE_FREED, freed, true);
  view.setUint32(TRAIT_TABLE + TRAIT_TABLE_EPOCH, registry.epoch, true);
}
