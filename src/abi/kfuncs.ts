/**
 * The kfuncs that programs may call by name in the user-space target. A name that is not in here is refused at load, even if the plane
 * exports a function of that name: what the plane exports is for the runtime as well.
 */
import type { HelperPrototype } from './prototype.ts';

export const kfuncs: ReadonlyMap<string, HelperPrototype> = new Map();
