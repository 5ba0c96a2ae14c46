// A day for people, with the machine's form of it. Times are UTC.

const MONTHS = ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
  "November", "December"];

export function Day({ value }: { value: string }) {
  const [year, month, day] = value.slice(0, 10).split("-").map(Number);
  return <time dateTime={value}>{`${day} ${MONTHS[month - 1]} ${year}`}</time>;
}
