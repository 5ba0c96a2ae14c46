export function words(text) {
  const counts = {};
  for (const word of text.split(/\s+/)) counts[word] = (counts[word] ?? 0) + 1;
  console.log(`${Object.keys(counts).length} different words`);
  return counts;
}
