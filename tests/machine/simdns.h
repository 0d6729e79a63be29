/* SPDX-License-Identifier: ISC */
/* A network of authoritative name servers that exists on paper only, behind the interface of io/dns_ask.h and on the frozen clock of simtime.h: what each
 * machine would say at each moment is known beforehand, so a model can tell what the truth was. Shares no code with what it tests: answers are written by an
 * encoder of its own, the question is taken from struct dns_ask. */
#ifndef DOVAD_TESTS_SIMDNS_H
#define DOVAD_TESTS_SIMDNS_H

#include "io/dns_ask.h"
#include "prove/verdict.h"

enum { SIM_NS = 6, SIM_ADDRS = 24, SIM_MACHINES = 4, SIM_VALUES = 3, SIM_NAMES = 6, SIM_TEXTS = 96 };
static const int64_t SIM_NEVER = INT64_MAX / 4;

/* How an address behaves. All but SIM_GOOD never give an authoritative answer. */
enum sim_mode {
	SIM_GOOD, SIM_DEAD, SIM_CLOSED, SIM_NOROUTE, SIM_REFUSED, SIM_NOTAUTH, SIM_SERVFAIL, SIM_FORMERR, SIM_NOT_AA, SIM_REFERRAL, SIM_BROKEN, SIM_GARBLED,
	SIM_MODES
};
/* What a machine says of a name before a value is there. */
enum sim_before { SIM_NXDOMAIN, SIM_NODATA, SIM_OLD, SIM_CNAME, SIM_BEFORES };
enum sim_decoy { /* what looks like a value and is none */
	SIM_LONGER = 1, SIM_SHORTER = 2, SIM_OTHER_CASE = 4, SIM_QUOTED = 8, SIM_TYPE_SPF = 16, SIM_ELSEWHERE = 32, SIM_HALVES = 64, SIM_CROWD = 128,
};

struct sim_name {
	char owner[80];
	char value[SIM_VALUES][48];
	char decoy[SIM_VALUES][6][52];
	size_t nvalues;
	unsigned decoys;
	unsigned cut;                    /* the value's first string ends here; 0: one string */
	int64_t start;                   /* when it is published and looked for */
};
struct sim_machine {
	int64_t appears[SIM_NAMES][SIM_VALUES];
	int64_t lost_from, lost_to;      /* an old copy of the zone is served in between */
	enum sim_before before;
	uint32_t serial;
};
struct sim_addr {
	struct addr addr;
	unsigned ns;
	enum sim_mode mode[2];           /* until and from `turns` */
	int64_t turns;
	struct sim_machine machine[SIM_MACHINES];
	unsigned nmachines;
	bool per_question;               /* each question may meet another machine; else each socket */
	unsigned socket[2];              /* the machine behind the present one: UDP, TCP */
	bool udp_silent, tcp_silent, truncates, lowers_case, wildcard;
	int64_t rtt;
	unsigned loss;                   /* per cent, UDP only */
};

struct sim_text {
	const char *text;
	unsigned cut;
	uint16_t type;
	bool elsewhere;                  /* its owner is another name */
};
struct sim_reply {
	/* What is said; a planted bug may bend it. */
	enum dns_how how;
	unsigned rcode;
	bool aa, garbled, referral, soa;
	uint32_t serial;
	struct sim_text *texts;          /* room for SIM_TEXTS */
	size_t ntexts;
	const char *cname;
	/* What was asked, and the truth about it. */
	struct sim_addr *from;
	const struct sim_machine *machine; /* that was met; NULL: none */
	const char *question;
	int name;                        /* of the world's names; -1: another */
	uint16_t type;
	unsigned bits;
	bool fresh, tcp, over_tcp;
	enum verdict truth;
	int64_t asked, sampled, delivered;
	unsigned sent;
};

struct simdns {
	struct asker asker;              /* first */
	uint64_t random;
	int64_t began;                   /* clock_mono_ms() at its time 0 */
	struct sim_name name[SIM_NAMES];
	size_t nnames, crowd;            /* crowd: so many names "[_acme-challenge.]n%zu.<apex>" there are, all as name[0] */
	char apex[48];
	struct sim_addr addr[SIM_ADDRS];
	size_t naddrs, nns;
	bool bumps;                      /* the serial moves with each change */
	bool limits;                     /* as the real asker has them: 20 questions a second for one name, 200 in all, per address */
	unsigned asked, under_way;
	char bad[160];                   /* what must never be asked; "": nothing was */
	/* The model hears of each question when it is asked and of each true answer when it is delivered. */
	void (*heard)(void *arg, const struct sim_reply *r, bool answered);
	void *arg;
	/* A planted bug: changes the question, returns how long it is held back; changes the answer. */
	int64_t (*bend_ask)(void *bug, struct simdns *s, struct dns_ask *q);
	void (*bend)(void *bug, struct simdns *s, struct sim_reply *r);
	void *bug;
	struct sim_text texts[SIM_TEXTS]; /* of the answer that is delivered now */
	int64_t line[SIM_ADDRS][200], turn[SIM_ADDRS][SIM_NAMES][20]; /* of the limits: when the last ones went */
	unsigned nline[SIM_ADDRS], nturn[SIM_ADDRS][SIM_NAMES];
};

void simdns_begin(struct simdns *s, uint64_t seed); /* after memset 0; time 0 is now */
int64_t simdns_now(const struct simdns *s);
uint64_t simdns_random(struct simdns *s, uint64_t n); /* 0 .. n-1 */
size_t simdns_crowd(const struct simdns *s, const char *name); /* which of the crowd it is; SIZE_MAX: none */
bool simdns_chance(struct simdns *s, unsigned percent);
enum sim_mode simdns_mode(const struct sim_addr *a, int64_t t);
bool simdns_has(const struct sim_machine *m, size_t name, size_t value, int64_t t);
uint32_t simdns_serial(const struct simdns *s, const struct sim_machine *m, int64_t t);
/* What a question meeting this machine of this address at t would truly be worth. */
enum verdict simdns_truth(const struct simdns *s, const struct sim_addr *a, const struct sim_machine *m, size_t name, int64_t t);

#endif
