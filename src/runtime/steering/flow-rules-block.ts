/** Rules that choose RSS contexts, in the one memory (plane/layout/steering.ts). */
import { InputError } from '../../errors.ts';
import { checkFlowRule, type FlowRule, flowTypeOf, hasPorts } from '../../net/rss/flow-rules.ts';
import {
  STEER_FLOW_DESTINATION,
  STEER_FLOW_FAMILY,
  STEER_FLOW_KEY_SIZE,
  STEER_FLOW_KNOWN,
  STEER_FLOW_KNOWN_PORTS,
  STEER_FLOW_KNOWN_PROTOCOL,
  STEER_FLOW_KNOWN_VLAN,
  STEER_FLOW_PORTS,
  STEER_FLOW_PROTOCOL,
  STEER_FLOW_SOURCE,
  STEER_FLOW_VLAN,
  STEER_MAX_RULES,
  STEER_RULE_CONTEXT,
  STEER_RULE_HITS,
  STEER_RULE_SIZE,
} from '../../plane/layout/steering.ts';
import type { Runtime } from '../runtime.ts';

export class FlowRulesBlock {
  readonly address: number;
  readonly rules: readonly FlowRule[];
  readonly #runtime: Runtime;

  /** Owned by whoever made it until `free`; at least one rule. Throws InputError `SLUICE_STEER_RULE`. */
  constructor(runtime: Runtime, rules: readonly FlowRule[]) {
    if (rules.length > STEER_MAX_RULES)
      throw new InputError('SLUICE_STEER_RULE', `${rules.length} rules: a device takes ${STEER_MAX_RULES}`);
    for (const rule of rules) checkFlowRule(rule);
    this.#runtime = runtime;
    this.rules = rules;
    this.address = runtime.allocatePages(rules.length * STEER_RULE_SIZE);
    for (const [index, rule] of rules.entries()) this.#write(this.address + index * STEER_RULE_SIZE, rule);
  }

  #write(at: number, rule: FlowRule): void {
    const bytes = this.#runtime.bytes();
    const view = this.#runtime.view();
    bytes.fill(0, at, at + STEER_RULE_SIZE);
    const mask = at + STEER_FLOW_KEY_SIZE;
    const byte = (field: number, value: number, of = 0xff) => {
      bytes[at + field] = value & of;
      bytes[mask + field]! |= of;
    };
    const word = (field: number, value: number, of: number) => {
      view.setUint16(at + field, value & of, false);
      view.setUint16(mask + field, of, false);
    };
    let known = 0;
    const type = flowTypeOf(rule.flowType);
    if (type.version !== 0) byte(STEER_FLOW_FAMILY, type.version);
    for (const [field, match] of [
      [STEER_FLOW_SOURCE, rule.source],
      [STEER_FLOW_DESTINATION, rule.destination],
    ] as const)
      for (const [i, value] of (match?.value ?? []).entries()) byte(field + i, value, match!.mask[i]!);
    const protocol = type.protocol ?? rule.protocol;
    if (protocol !== undefined) {
      byte(STEER_FLOW_PROTOCOL, protocol);
      known |= STEER_FLOW_KNOWN_PROTOCOL;
    }
    const { sourcePort, destinationPort, vlan } = rule;
    if (hasPorts(type.protocol) && (sourcePort ?? destinationPort) !== undefined) known |= STEER_FLOW_KNOWN_PORTS;
    if (sourcePort !== undefined) word(STEER_FLOW_PORTS, sourcePort.value, sourcePort.mask);
    if (destinationPort !== undefined) word(STEER_FLOW_PORTS + 2, destinationPort.value, destinationPort.mask);
    if (vlan !== undefined) {
      word(STEER_FLOW_VLAN, vlan.value, vlan.mask);
      known |= STEER_FLOW_KNOWN_VLAN;
    }
    byte(STEER_FLOW_KNOWN, known, known);
    view.setUint32(at + STEER_RULE_CONTEXT, rule.context, true);
  }

  /** Packets that each rule chose the context of. */
  hits(): bigint[] {
    const view = this.#runtime.view();
    return this.rules.map((_, index) =>
      view.getBigUint64(this.address + index * STEER_RULE_SIZE + STEER_RULE_HITS, true),
    );
  }

  free(): void {
    this.#runtime.freePages(this.address, this.rules.length * STEER_RULE_SIZE);
  }
}
