/** What `sluice mem` tells of a memory: its allocators with their numbers, and who keeps them. */
import { type Keepers, keepersOf } from '../runtime/allocators/keepers.ts';
import type { AllocatorStats } from '../runtime/allocators/stats.ts';
import { allocatorsOf } from '../runtime/allocators/store.ts';
import type { Outcome } from './mem-steps.ts';
import { type Output, table } from './output.ts';

export interface AllocatorReport {
  readonly id: number;
  readonly name: string;
  readonly stats: AllocatorStats;
  readonly keepers: Keepers;
}

export interface PolicyReport {
  readonly policy: string;
  readonly verdict: 'accept' | 'reject';
  /** The conflict, in words. */
  readonly problem: string | undefined;
  readonly live: number;
  readonly liveBytes: number;
  readonly slabs: number;
  readonly slabBytes: number;
  /** Part of the slabs that no live object is in, 0 to 1. */
  readonly fragmentation: number;
  readonly runs: number;
  readonly nsPerRun: number;
  readonly returned: ReadonlyMap<string, number>;
  readonly allocators: readonly AllocatorReport[];
}

export function reportOf({ runtime, policy, refused, runs, nsPerRun, returned }: Outcome): PolicyReport {
  const store = allocatorsOf(runtime.plane);
  const allocators = store.all().flatMap((allocator): AllocatorReport[] => {
    const stats = allocator.stats();
    return stats === undefined
      ? []
      : [{ id: allocator.id, name: allocator.name, stats, keepers: keepersOf(store, allocator) }];
  });
  const sum = (of: (stats: AllocatorStats) => number) => allocators.reduce((total, { stats }) => total + of(stats), 0);
  // Slabs that are shared count once.
  const shares = (of: (stats: AllocatorStats) => number) => sum((stats) => of(stats) / stats.sharers);
  const liveBytes = sum((stats) => stats.liveBytes);
  const slabBytes = Math.round(shares((stats) => stats.slabBytes));
  return {
    policy,
    verdict: refused === undefined ? 'accept' : 'reject',
    problem: refused?.message,
    live: sum((stats) => stats.live),
    liveBytes,
    slabs: Math.round(shares((stats) => stats.classes.reduce((total, { slabs }) => total + slabs, 0))),
    slabBytes,
    fragmentation: slabBytes === 0 ? 0 : 1 - liveBytes / slabBytes,
    runs,
    nsPerRun,
    returned,
    allocators,
  };
}

export function printReports(reports: readonly PolicyReport[], output: Output): void {
  const { bold, red, green } = output.colors;
  const rows = [['POLICY', 'VERDICT', 'LIVE', 'BYTES', 'SLABS', 'SLAB BYTES', 'FREE IN SLABS', 'NS/RUN']];
  for (const each of reports)
    rows.push([
      each.policy,
      each.verdict,
      String(each.live),
      String(each.liveBytes),
      String(each.slabs),
      String(each.slabBytes),
      `${(each.fragmentation * 100).toFixed(1)} %`,
      each.runs === 0 ? '-' : each.nsPerRun.toFixed(1),
    ]);
  for (const [i, line] of table(rows).entries()) output.line(i === 0 ? bold(line) : line);
  for (const { policy, problem } of reports)
    if (problem !== undefined) output.line(`\n${red(`${policy}: ${problem}`)}`);
  for (const { policy, verdict, allocators } of reports) {
    const used = allocators.filter(
      ({ stats, keepers }) => stats.live > 0 || stats.quota !== undefined || keepers.maps.length > 0,
    );
    if (verdict === 'reject' || used.length === 0) continue;
    output.line(`\n${bold(policy)}`);
    for (const { name, stats, keepers } of used) {
      const quota = stats.quota === undefined ? '' : `, ${stats.chargedBytes} of ${stats.quota} bytes of its quota`;
      const set = stats.reserved === 0 ? '' : `, ${stats.reserved} set apart`;
      const shared = stats.sharers > 1 ? `, merged with ${stats.sharers - 1}` : '';
      output.line(`  ${green(name)}: ${stats.live} live${quota}${set}${shared}`);
      for (const [what, who] of [
        ['maps', keepers.maps],
        ['pins', keepers.pins],
        ['programs', keepers.programs],
        ['fields', keepers.fields],
      ] as const)
        if (who.length > 0) output.line(`    kept by ${what}: ${who.join(', ')}`);
      if (keepers.objects > 0) output.line(`    kept by ${keepers.objects} live objects`);
    }
  }
}
