/** What every suite gives back, and how it is printed. */
import { cpus, release } from 'node:os';
import { geometricMean } from './timing.ts';

/** Names of peers, as scripts outside the project know them. */
export type PeerName =
  | 'dynamic'
  | 'per-map'
  | 'linux-jit'
  | 'linux'
  | 'libbpf'
  | 'ubpf-jit'
  | 'interpreter'
  | 'liburing-c'
  | 'node-fs-promises'
  | 'node-fs-sync'
  | 'node-fs-uring'
  | 'node-net'
  | 'pread-c'
  | 'mimalloc'
  | 'jemalloc'
  | 'glibc'
  | 'c-table'
  | 'afxdp-c'
  | 'tap-reader-c';

export interface BenchCase {
  readonly case: string;
  /** ns an operation. */
  readonly ours: number;
  /** The first time in the process, where it was measured. */
  readonly cold?: number;
  /** Instructions that the verifier followed. */
  readonly insns?: number;
  readonly peers: Readonly<Partial<Record<PeerName, number>>>;
}

/** How time grows with the size of what is done. */
export interface GrowthSeries {
  readonly series: string;
  readonly points: readonly {
    readonly size: number;
    /** ns. */
    readonly ours: number;
    readonly peers: Readonly<Partial<Record<PeerName, number>>>;
  }[];
  /** Of time over size, both logarithmic: 1 is linear. */
  readonly slope: number;
  readonly peers: Readonly<Partial<Record<PeerName, number>>>;
}

/** What a number of threads do together. */
export interface ScalePoint {
  /** Operations of all threads in a second. */
  readonly perSecond: number;
  /** That over what one thread does. */
  readonly factor: number;
  /** CPU time of an operation on all processors, ns. */
  readonly cpuNs: number;
}

/** How throughput grows with the number of threads. */
export interface ScaleSeries {
  readonly series: string;
  readonly points: readonly {
    readonly threads: number;
    readonly ours: ScalePoint;
    readonly peers: Readonly<Partial<Record<PeerName, ScalePoint>>>;
  }[];
}

export interface BenchResult {
  readonly schema: 'sluice.bench/1';
  readonly suite: string;
  readonly machine: { readonly cpu: string; readonly cpus: number; readonly kernel: string; readonly node: string };
  readonly cases: readonly BenchCase[];
  /** Our time over the peer's: below 1 is faster. */
  readonly geomean: Readonly<Partial<Record<PeerName, number>>>;
  /** What a reader has to know: how it was measured, which peers are absent and why. */
  readonly notes: readonly string[];
  readonly growth?: readonly GrowthSeries[];
  readonly scale?: readonly ScaleSeries[];
}

export function benchResult(
  suite: string,
  cases: readonly BenchCase[],
  notes: readonly string[],
  growth: readonly GrowthSeries[] = [],
  scale: readonly ScaleSeries[] = [],
): BenchResult {
  const geomean: Partial<Record<PeerName, number>> = {};
  for (const name of peerNames(cases)) {
    const ratios = cases.flatMap((each) => {
      const peer = each.peers[name];
      return peer === undefined ? [] : [each.ours / peer];
    });
    geomean[name] = geometricMean(ratios);
  }
  return {
    schema: 'sluice.bench/1',
    suite,
    machine: machine(),
    cases,
    geomean,
    notes,
    ...(growth.length === 0 ? {} : { growth }),
    ...(scale.length === 0 ? {} : { scale }),
  };
}

export function peerNames(cases: readonly BenchCase[]): PeerName[] {
  return [...new Set(cases.flatMap((each) => Object.keys(each.peers) as PeerName[]))]; // keys of a record of peers
}

function machine(): BenchResult['machine'] {
  const [first] = cpus();
  return { cpu: first?.model ?? 'unknown', cpus: cpus().length, kernel: release(), node: process.version };
}

/** Rows for a table: header first. */
export function rows(result: BenchResult): string[][] {
  const peers = peerNames(result.cases);
  const cold = result.cases.some((each) => each.cold !== undefined);
  const out = [['CASE', 'OURS', ...(cold ? ['COLD'] : []), ...peers.flatMap((name) => [name.toUpperCase(), 'RATIO'])]];
  for (const each of result.cases) {
    const cells = peers.flatMap((name) => {
      const peer = each.peers[name];
      return peer === undefined ? ['-', '-'] : [ns(peer), (each.ours / peer).toFixed(2)];
    });
    out.push([each.case, ns(each.ours), ...(cold ? [each.cold === undefined ? '-' : ns(each.cold)] : []), ...cells]);
  }
  out.push([
    'geometric mean',
    '',
    ...(cold ? [''] : []),
    ...peers.flatMap((name) => ['', result.geomean[name]!.toFixed(2)]),
  ]);
  return out;
}

/** Rows for a table of growth: header first. */
export function growthRows(series: readonly GrowthSeries[]): string[][] {
  const out = [['GROWTH', 'SIZE', 'OURS', 'A UNIT', 'LINUX', 'SLOPE']];
  for (const each of series)
    each.points.forEach(({ size, ours, peers }, i) => {
      const last = i === each.points.length - 1;
      const slopes = `${each.slope.toFixed(2)}${each.peers.linux === undefined ? '' : ` (linux ${each.peers.linux.toFixed(2)})`}`;
      out.push([
        each.series,
        String(size),
        ns(ours),
        ns(ours / size),
        peers.linux === undefined ? '-' : ns(peers.linux),
        last ? slopes : '',
      ]);
    });
  return out;
}

/** Rows for a table of throughput: header first. The ratio is our time of an operation over the peer's, as everywhere. */
export function scaleRows(series: readonly ScaleSeries[]): string[][] {
  const out = [['SCALE', 'THREADS', 'OURS', 'FACTOR', 'CPU', 'PEER', 'FACTOR', 'CPU', 'RATIO']];
  for (const each of series)
    for (const { threads, ours, peers } of each.points) {
      const [peer] = Object.values(peers);
      const cells = (point: ScalePoint) => [millions(point.perSecond), point.factor.toFixed(2), ns(point.cpuNs)];
      const theirs =
        peer === undefined ? ['-', '-', '-', '-'] : [...cells(peer), (peer.perSecond / ours.perSecond).toFixed(2)];
      out.push([each.series, String(threads), ...cells(ours), ...theirs]);
    }
  return out;
}

function millions(perSecond: number): string {
  return `${(perSecond / 1e6).toFixed(1)} M/s`;
}

function ns(value: number): string {
  return `${value.toFixed(value < 10 ? 2 : value < 100 ? 1 : 0)} ns`;
}
