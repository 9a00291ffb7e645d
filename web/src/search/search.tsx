export default function Search() {
  return <p>search</p>
}
