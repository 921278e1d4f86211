/** How many cases a property is tried with here: in `node test/soak/model.js` so many times as many. */
export const runs = (count: number): number => count * Number(process.env.FC_TIMES ?? 1)
