/** The fields in which two entries about one thing differ, nested ones with dots; in the order of their names. */
export function differingFields(a: object, b: object): string[] {
  const names = [...new Set([...Object.keys(a), ...Object.keys(b)])].sort();
  return names.flatMap((name) => {
    const [one, other] = [Reflect.get(a, name) as unknown, Reflect.get(b, name) as unknown];
    if (isObject(one) && isObject(other))
      return differingFields(one, other).map((field) => `${name}.${field}`);
    return one === other ? [] : [name];
  });
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}
