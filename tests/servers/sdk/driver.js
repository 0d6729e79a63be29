// SPDX-License-Identifier: ISC
// The vendor's SDK as a client of tests/servers/cas, driven line by line. Node 18 or later; what package.json names is looked for in the folder CAS_SDK.
//
//   CAS_SDK=FOLDER [NODE_EXTRA_CA_CERTS=FILE] node driver.js ENDPOINT [option=value...]
//
// ENDPOINT: https://HOST:PORT or http://HOST:PORT, or "capture": then the SDK's requests go to a listener in this process and the answer to each command is
// the request, {method, target, headers: [[name, value]...], body}, byte for byte as it came.
// Options: id, secret, token (STS), skew (seconds by which this process's clock is wrong).
//
// A command is one line of JSON, {action, params, style, signature}: style "typed" (the product's SDK; params by their names on the wire, in its types),
// "generic" (any action), or "models", which asks nobody and tells the names and types that the product's SDK has; signature "v3" or "rpc". params are lists
// and objects where the service has them: writing them out is the SDK's affair. Its members endpoint, id, secret and token stand before the arguments' ones;
// version is the product's, of those in PRODUCTS (CAS when there is none).
// An answer is one line, too: {status, headers, text} of a generic call (text as it came), {status, headers, body} of a typed one (as the SDK's models have
// it, by the names on the wire), or {error: {code, message, status, data, name, retryAfter}}. Answers come in the order of the commands.
'use strict';
const http = require('http');
const readline = require('readline');
const inSdk = require('module').createRequire(process.env.CAS_SDK + '/');
const generic = inSdk('@alicloud/openapi-client');
const util = inSdk('@alicloud/openapi-util').default;
const {RuntimeOptions} = inSdk('@alicloud/tea-util');
const CAS = '2020-04-07';
const PRODUCTS = {[CAS]: 'cas20200407', '2015-01-09': 'alidns20150109', '2018-05-10': 'cdn20180510', '2020-06-16': 'alb20200616'};
const [endpoint, ...rest] = process.argv.slice(2);
const options = Object.fromEntries(rest.map((word) => [word.slice(0, word.indexOf('=')), word.slice(word.indexOf('=') + 1)]));

if (options.skew) {
	const Right = Date;
	const off = Number(options.skew) * 1000;
	global.Date = class extends Right {
		constructor(...args) { super(...(args.length ? args : [Right.now() + off])); }
		static now() { return Right.now() + off; }
	};
}

function config(command, place) {
	const {signature, id, secret, token} = {...options, ...command};
	if (signature !== 'v3' && signature !== 'rpc')
		throw new Error('signature: v3 or rpc');
	return {
		accessKeyId: id, accessKeySecret: secret, securityToken: token, type: token ? 'sts' : 'access_key',
		endpoint: place.host, protocol: place.protocol.slice(0, -1), signatureAlgorithm: signature === 'rpc' ? 'v2' : undefined,
		readTimeout: 20000, connectTimeout: 5000,
	};
}

// What models hold under names of JavaScript, under those of the wire, and the other way round.
function fromWire(Model, value) {
	const names = Model.names(), types = Model.types(), known = new Map(Object.keys(names).map((key) => [names[key], key]));
	const out = {};
	for (const [name, one] of Object.entries(value)) {
		if (!known.has(name))
			throw new Error(`the SDK's ${Model.name} has no ${name}`);
		out[known.get(name)] = convert(types[known.get(name)], one, fromWire);
	}
	return new Model(out);
}
function toWire(Model, value) {
	const names = Model.names(), types = Model.types(), out = {};
	for (const [key, name] of Object.entries(names))
		if (value[key] !== undefined && value[key] !== null)
			out[name] = convert(types[key], value[key], toWire);
	return out;
}
function convert(type, value, how) {
	if (type && type.type === 'array')
		return value.map((one) => convert(type.itemType, one, how));
	return typeof type === 'function' ? how(type, value) : value;
}

// {name: type} of a model, types as the SDK writes them; {list: type} and objects likewise.
function shape(Model) {
	const of = (type) => type && type.type === 'array' ? {list: of(type.itemType)} : typeof type === 'function' ? shape(type) : type;
	const types = Model.types();
	return Object.fromEntries(Object.entries(Model.names()).map(([key, name]) => [name, of(types[key])]));
}
function productOf({version}) {
	return inSdk('@alicloud/' + PRODUCTS[version || CAS]);
}
function models(command) {
	const {action} = command, product = productOf(command);
	const Request = product[action + 'Request'], Body = product[action + 'ResponseBody'];
	return Body ? {request: Request ? shape(Request) : {}, answer: shape(Body)} : {};
}

async function callTyped(command, place) {
	const {action, params} = command, product = productOf(command);
	const Request = product[action + 'Request'], Body = product[action + 'ResponseBody'];
	if (!Body)
		throw new Error(`the SDK has no ${action}`);
	const client = new product.default(config(command, place));
	const method = Object.getOwnPropertyNames(product.default.prototype).find((name) => name.toLowerCase() === action.toLowerCase() + 'withoptions');
	const runtime = {};
	const answer = Request ? await client[method](fromWire(Request, params || {}), runtime) : await client[method](runtime);
	return {status: answer.statusCode, headers: answer.headers, body: toWire(Body, answer.body)};
}

async function callGeneric(command, place) {
	const {action, params, version} = command;
	const client = new generic.default(new generic.Config(config(command, place)));
	const what = new generic.Params({
		action, version: version || CAS, protocol: 'HTTPS', pathname: '/', method: 'POST', authType: 'AK', style: 'RPC', reqBodyType: 'formData', bodyType: 'string',
	});
	const answer = await client.callApi(what, new generic.OpenApiRequest({query: util.query(params || {})}), new RuntimeOptions({}));
	return {status: answer.statusCode, headers: answer.headers, text: answer.body};
}

function asError(error) {
	const {code, message, name, data, retryAfter} = error;
	return {error: {code, message, name, data, retryAfter, status: error.statusCode || (data && data.statusCode)}};
}

async function call(command, place) {
	const styles = {typed: callTyped, generic: callGeneric, models};
	if (!Object.hasOwn(styles, command.style))
		throw new Error('style: typed, generic or models');
	return styles[command.style](command, place);
}

// A listener that keeps what came last and answers an empty success.
function listen() {
	const seen = {last: null};
	const server = http.createServer((request, response) => {
		const parts = [];
		request.on('data', (part) => parts.push(part));
		request.on('end', () => {
			const headers = [];
			for (let i = 0; i < request.rawHeaders.length; i += 2)
				headers.push([request.rawHeaders[i], request.rawHeaders[i + 1]]);
			seen.last = {method: request.method, target: request.url, headers, body: Buffer.concat(parts).toString('utf8')};
			response.setHeader('content-type', 'application/json');
			response.end('{}');
		});
	});
	return new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve([new URL(`http://127.0.0.1:${server.address().port}`), seen])));
}

async function main() {
	const [place, seen] = endpoint === 'capture' ? await listen() : [new URL(endpoint), null];
	for await (const line of readline.createInterface({input: process.stdin})) {
		let answer;
		try {
			if (seen)
				seen.last = null;
			const command = JSON.parse(line);
			answer = await call(command, command.endpoint ? new URL(command.endpoint) : place);
			if (seen && seen.last)
				answer = seen.last;
		} catch (error) {
			answer = asError(error);
		}
		process.stdout.write(JSON.stringify(answer) + '\n');
	}
	process.exit(0);
}

main();
