// The AWS Price List Query API on the wire: JSON 1.1, SigV4, filters that it applies, pages by token. Rows as
// the real one has them, the CapacityBlock offer at 0 included. Written for AWS' own client.

import { type Asked, type PriceServer, priceServer, type Reply } from "./price-server.ts";

export interface Product {
  readonly type: string;
  /** As it is written: "1.0060000000". */
  readonly usd: string;
  readonly gpus?: string;
  readonly marketoption?: "OnDemand" | "CapacityBlock";
  readonly os?: string;
  readonly region?: string;
  readonly effective?: string;
  /** Instead of the whole product. */
  readonly raw?: string;
}

export const G5: Product = { type: "g5.xlarge", usd: "1.0060000000", gpus: "1" };

/** What EC2 asks for one on spot in one zone. */
export interface Spot {
  readonly type: string;
  readonly zone: string;
  readonly usd: string;
}

export interface AwsPriceList extends PriceServer {
  products: readonly Product[];
  spots: readonly Spot[];
  /** EC2's word for why it does not tell them. */
  refuseSpot: string | undefined;
}

/** Takes any login whose signature is for `pricing`; `pageSize` is its own, below what is asked. */
export async function awsPriceList(products: readonly Product[], pageSize = 100): Promise<AwsPriceList> {
  const server = await priceServer((asked) =>
    asked.body.includes("Action=DescribeSpotPriceHistory")
      ? spotAnswer(asked, list)
      : answer(asked, list.products, pageSize),
  );
  const list: AwsPriceList = { ...server, products, spots: [], refuseSpot: undefined };
  return list;
}

export function awsError(status: number, type: string) {
  const body = JSON.stringify({ __type: type, message: "arn:aws:iam::123456789012:user/secret-name" });
  return { kind: "status", status, body, headers: { "content-type": "application/x-amz-json-1.1" } } as const;
}

function answer({ headers, body }: Asked, products: readonly Product[], pageSize: number): Reply {
  const signed = /^AWS4-HMAC-SHA256 Credential=\w+\/\d{8}\/[a-z0-9-]+\/pricing\/aws4_request, /;
  if (headers["x-amz-target"] !== "AWSPriceListService.GetProducts")
    return refusal("UnknownOperationException");
  if (!signed.test(headers.authorization ?? "")) return refusal("MissingAuthenticationTokenException");
  const asked = JSON.parse(body) as {
    ServiceCode: string;
    Filters: { Type: string; Field: string; Value: string }[];
    MaxResults: number;
    NextToken?: string;
  };
  if (asked.ServiceCode !== "AmazonEC2" || asked.MaxResults > 100)
    return refusal("InvalidParameterException");
  const found = products.filter((one) => {
    const attributes: Record<string, string> = attributesOf(one);
    return asked.Filters.every(({ Field, Value }) => (attributes[Field] ?? "Compute Instance") === Value);
  });
  const from = Number(asked.NextToken ?? 0);
  const until = from + Math.min(pageSize, asked.MaxResults);
  const PriceList = found.slice(from, until).map((one) => one.raw ?? JSON.stringify(whole(one)));
  const more = until < found.length ? { NextToken: String(until) } : {};
  const type = "application/x-amz-json-1.1";
  return { type, body: JSON.stringify({ FormatVersion: "aws_v1", PriceList, ...more }) };
}

/** Two of a page. */
function spotAnswer({ headers, body }: Asked, { spots, refuseSpot }: AwsPriceList): Reply {
  const form = new URLSearchParams(body);
  const type = "text/xml";
  if (refuseSpot !== undefined) {
    const error = `<Error><Code>${refuseSpot}</Code><Message>arn:aws:iam::1:user/secret-name</Message></Error>`;
    return { status: 403, type, body: `<Response><Errors>${error}</Errors></Response>` };
  }
  if (!/\/[a-z0-9-]+\/ec2\/aws4_request, /.test(headers.authorization ?? ""))
    return { status: 401, type, body: "" };
  const asked = [...form].flatMap(([key, value]) => (key.startsWith("InstanceType.") ? [value] : []));
  const found = spots.filter((each) => asked.includes(each.type));
  const from = Number(form.get("NextToken") ?? 0);
  const items = found.slice(from, from + 2).map(({ type, zone, usd }) => {
    const time = "<timestamp>2026-11-28T10:00:00.000Z</timestamp>";
    const what = `<instanceType>${type}</instanceType><productDescription>Linux/UNIX</productDescription>`;
    return `<item>${what}<spotPrice>${usd}</spotPrice>${time}<availabilityZone>${zone}</availabilityZone></item>`;
  });
  const next = from + 2 < found.length ? String(from + 2) : "";
  const set = `<spotPriceHistorySet>${items.join("")}</spotPriceHistorySet><nextToken>${next}</nextToken>`;
  const name = "DescribeSpotPriceHistoryResponse";
  return { type, body: `<${name} xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">${set}</${name}>` };
}

function refusal(type: string): Reply {
  return { status: 400, type: "application/x-amz-json-1.1", body: JSON.stringify({ __type: type }) };
}

function attributesOf({
  type,
  gpus,
  os = "Linux",
  region = "us-east-1",
  marketoption = "OnDemand",
}: Product) {
  return {
    ...{ servicecode: "AmazonEC2", instanceType: type, regionCode: region, operatingSystem: os },
    ...{ preInstalledSw: "NA", tenancy: "Shared", capacitystatus: "Used", marketoption },
    ...(gpus !== undefined && { gpu: gpus }),
  };
}

function whole(one: Product) {
  const sku = `SKU${one.type.replace(/\W/g, "").toUpperCase()}`;
  const term = `${sku}.JRTCKXETXF`;
  const rate = `${term}.6YS6EN2CT7`;
  const price = {
    rateCode: rate,
    unit: "Hrs",
    beginRange: "0",
    endRange: "Inf",
    pricePerUnit: { USD: one.usd },
  };
  return {
    product: { productFamily: "Compute Instance", attributes: attributesOf(one), sku },
    serviceCode: "AmazonEC2",
    terms: {
      OnDemand: {
        [term]: {
          ...{ offerTermCode: "JRTCKXETXF", sku, effectiveDate: one.effective ?? "2026-07-01T00:00:00Z" },
          priceDimensions: { [rate]: { ...price, appliesTo: [] } },
          termAttributes: {},
        },
      },
    },
    ...{ version: "20260720000000", publicationDate: "2026-07-20T00:00:00Z" },
  };
}
