// A page of a shop: a heading and a table of as many rows as there are products.
import { createContext } from "preact";
import { useContext, useMemo } from "preact/hooks";

type Product = { id: number; name: string; price: number; tags: string[] };

const Currency = createContext("EUR");

function Price({ amount }: { amount: number }) {
  const currency = useContext(Currency);
  return <span class={amount < 100 ? "price low" : "price"}>{amount.toFixed(2)} {currency}</span>;
}

function Row({ product }: { product: Product }) {
  return (
    <tr data-id={product.id}>
      <td class="name"><a href={`/products/${product.id}`}>{product.name}</a></td>
      <td>{product.tags.map((tag) => <em>{tag}</em>)}</td>
      <td class="number"><Price amount={product.price} /></td>
    </tr>
  );
}

export default function Page({ title, products }: { title: string; products: Product[] }) {
  const total = useMemo(() => products.reduce((sum, product) => sum + product.price, 0), [products]);
  return (
    <Currency.Provider value="CHF">
      <main class="shop">
        <nav><a href="/">Home</a><a href="/cart">Cart</a></nav>
        <h1>{title}</h1>
        <table>
          <thead><tr><th>Name</th><th>Tags</th><th>Price</th></tr></thead>
          <tbody>{products.map((product) => <Row key={product.id} product={product} />)}</tbody>
        </table>
        <p>{products.length} products, <Price amount={total} /> in all</p>
      </main>
    </Currency.Provider>
  );
}
