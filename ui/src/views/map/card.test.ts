import { describe, expect, it } from 'vitest';
import { node } from '../../testing';
import { cardFacts, textSizes } from './card';
import { CARD } from './layout';

describe('text on a card', () => {
  it('can be read on screen for as long as the card has room', () => {
    for (let scale = 0.62; scale <= 3; scale += 0.02) {
      const { name, facts } = textSizes(scale);
      expect(name * scale).toBeGreaterThanOrEqual(11);
      expect(facts! * scale).toBeGreaterThanOrEqual(9);
    }
  });

  it('never outgrows the card', () => {
    for (let scale = 0.08; scale <= 3; scale += 0.01) {
      const { name, facts } = textSizes(scale);
      expect(name + (facts ?? 0)).toBeLessThanOrEqual(CARD.height - 8);
    }
  });

  it('is the name alone where the map is small', () => expect(textSizes(0.3).facts).toBeNull());
});

describe('the second line', () => {
  const of = (change: object) => {
    const facts = cardFacts(node({ id: 'n', ...change }), 100);
    return { ...facts, errors: facts.errors.replace(/\u00a0/g, ' ') };
  };

  it('is what it answers', () => {
    expect(of({ requests_in: 400, errors_in: 8, requests_out: 999 })).toEqual({ kinds: ['process'], rate: '4.0/s', errors: '2.0 %' });
  });

  it('is what it calls, where nobody calls it', () => expect(of({ requests_out: 400 }).rate).toBe('calls 4.0/s'));
  it('says that a zombie is one', () => expect(of({ zombie: true }).rate).toBe('no requests'));
  it('takes a period of no length', () => expect(cardFacts(node({ id: 'n', requests_in: 5 }), 0).rate).toBe('0.0/s'));

  it('names kind and namespace, or one of them', () => {
    expect(of({ kind: 'pod', namespace: 'shop' }).kinds).toEqual(['pod · shop', 'shop', 'pod']);
    expect(of({ kind: 'outbound' }).kinds).toEqual(['outside host']);
    expect(of({ kind: '' }).kinds).toEqual(['unknown']);
  });
});
