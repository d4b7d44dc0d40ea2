/** A packet's way as one line. */
import { isProgramStep, type PathPacket, type ProgramStep, type WayStep } from './packet.ts';

/** `xdp stamp: PASS > xdp steer: REDIRECT > devmap[0] to 4 > devmap leave: PASS > sent by 4`: programs with their verdicts, redirects, interfaces, the end. */
export function describeWay(packet: PathPacket): string {
  const parts = packet.steps.map(describeStep);
  // What was sent says where to as its last step.
  return (packet.end === 'sent' ? parts : [...parts, describeEnd(packet)]).join(' > ');
}

function describeStep(step: ProgramStep | WayStep): string {
  if (isProgramStep(step)) {
    const verdict = step.verdictName.replace(/^(XDP|TC_ACT)_/, '');
    return `${step.kind === 'cpumap' ? `cpu ${step.at}` : step.kind} ${step.program}: ${verdict}`;
  }
  switch (step.kind) {
    case 'redirect':
      return step.map === undefined ? `redirect to ${step.to}` : `${step.map.type}[${step.map.key}] to ${step.to}`;
    case 'sent':
      return `sent by ${step.at}`;
    case 'arrived':
      return `at ${step.at}`;
    case 'skb':
      return 'skb';
    case 'copy':
      return `copy ${step.copy}`;
    case 'merged':
      return `with ${step.index}`;
  }
}

function describeEnd({ end, interface: at, queue, mergedInto, reason }: PathPacket): string {
  switch (end) {
    case 'passed':
      return `reader of ${at}`;
    case 'socket':
      return `socket of queue ${queue}`;
    case 'merged':
      return `part of ${mergedInto}`;
    case 'fault':
    case 'lost':
    case 'refused':
      return `${end}: ${reason}`;
    default:
      return end;
  }
}
