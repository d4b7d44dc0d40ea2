/** Holds one version to what an earlier one promised. */
import type { AbiInterface } from './interfaces.ts';
import { type Shim, shims } from './shims.ts';
import { compareVersions } from './version.ts';
import { type Withdrawal, withdrawn } from './withdrawn.ts';

/**
 * What of the earlier version's interfaces is gone or has changed, one line each. A stable one may only change where a shim keeps its earlier form; an experimental one
 * where withdrawn.ts says in which later version, and why.
 */
export function brokenPromises(
  earlier: { readonly version: string; readonly interfaces: readonly AbiInterface[] },
  now: readonly AbiInterface[],
  kept: { readonly shims: readonly Shim[]; readonly withdrawn: readonly Withdrawal[] } = { shims, withdrawn },
): string[] {
  const current = new Map(now.map((each) => [`${each.kind} ${each.name}`, each]));
  const broken: string[] = [];
  for (const { kind, name, prototype, fingerprint, stability } of earlier.interfaces) {
    const what = `${kind} ${name}`;
    const found = current.get(what);
    if (found?.fingerprint === fingerprint) {
      if (stability.level === 'stable' && found.stability.level !== 'stable')
        broken.push(`${what} was stable in ${earlier.version} and is experimental`);
      continue;
    }
    const shimmed = kept.shims.some((each) => each.name === name && each.had.includes(`Sluice ${earlier.version}`));
    const said = kept.withdrawn.some(
      (each) => each.what === what && compareVersions(each.version, earlier.version) > 0,
    );
    if (shimmed || (stability.level === 'experimental' && said)) continue;
    const change = found === undefined ? 'is gone' : `is now ${found.prototype}`;
    broken.push(`${what}, ${stability.level} in ${earlier.version} as ${prototype}, ${change}`);
  }
  return broken;
}
