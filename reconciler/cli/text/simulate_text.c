#include "reconciler/cli/text/simulate_text.h"

#include "reconciler/base/clock.h"
#include "reconciler/base/json_out.h"

#define HOUR ((int64_t)3600)
#define DAY ((int64_t)86400)
#define BAR_WIDTH 50

static const char *fault_word(enum simulate_fault fault)
{
    static const char *const words[] = {
        [SIMULATE_EXPIRED] = "expired", [SIMULATE_TIGHT] = "tight", [SIMULATE_NEVER] = "never"};

    return words[fault];
}

static void print_bar(uint32_t value, uint32_t most, struct buf *out)
{
    uint64_t width = most ? ((uint64_t)value * BAR_WIDTH + most - 1) / most : 0;

    if (width)
        buf_cstr(out, "  ");
    while (width-- > 0)
        buf_char(out, '#');
}

/* The days from `first` on that one row tells of: one, or all in which nothing is ordered. */
static unsigned row_length(const struct simulation *s, unsigned first)
{
    unsigned end = first;

    while (end < s->days && !s->by_day[end].orders)
        end++;
    return end > first ? end - first : 1;
}

static void print_row(const struct simulation *s, unsigned first, unsigned count, uint32_t most,
                      struct buf *out)
{
    const struct simulate_day *day = &s->by_day[first];
    char label[32];

    snprintf(label, sizeof(label), count > 1 ? "%u-%u" : "%u", first, first + count - 1);
    buf_printf(out, "%-9s %9u %9u", label, day->orders, day->failed);
    print_bar(day->orders, most, out);
    buf_char(out, '\n');
}

static void print_table(const struct simulation *s, struct buf *out)
{
    uint32_t most = s->by_day[s->peak_day].orders;

    buf_printf(out, "%-9s %9s %9s\n", "Day", "Orders", "Failed");
    for (unsigned day = 0, count; day < s->days; day += count) {
        count = row_length(s, day);
        print_row(s, day, count, most, out);
    }
}

static void print_slack(const struct simulation *s, struct buf *out)
{
    int64_t slack = s->smallest_slack < 0 ? -s->smallest_slack : s->smallest_slack;

    if (!s->has_slack) {
        buf_cstr(out, "Nothing was renewed.\n");
        return;
    }
    buf_printf(out, "Smallest slack at a renewal: %lld days %lld hours%s, ",
               (long long)(slack / DAY), (long long)(slack % DAY / HOUR),
               s->smallest_slack <= 0 ? " too late" : "");
    buf_escaped(out, s->slack_name);
    buf_char(out, '\n');
}

static void print_risks(const struct simulation *s, struct buf *out)
{
    size_t shown = s->risk_count < SIMULATE_TEXT_RISKS ? s->risk_count : SIMULATE_TEXT_RISKS;

    buf_printf(out, "At risk: %zu of %zu name%s\n", s->risk_count, s->names,
               s->names == 1 ? "" : "s");
    for (size_t i = 0; i < shown; i++) {
        const struct simulate_risk *risk = &s->risks[i];

        buf_printf(out, "  %-8s since %s  ", fault_word(risk->fault), clock_text(risk->since).text);
        buf_escaped(out, risk->name);
        buf_printf(out, " (%s)\n", plan_reason_id(risk->reason));
    }
    if (s->risk_count > shown)
        buf_printf(out, "  and %zu more\n", s->risk_count - shown);
}

static const char *order_word(const struct simulate_order *order)
{
    return plan_action_name(order->is_renewal ? PLAN_RENEW : PLAN_ISSUE);
}

static void print_sequence(const struct simulation *s, struct buf *out)
{
    if (s->sequence)
        buf_cstr(out, "\nOne by one:\n");
    for (size_t i = 0; s->sequence && i < s->orders; i++) {
        const struct simulate_order *order = &s->sequence[i];

        buf_printf(out, "  %s  %s ", clock_text(order->at).text, order_word(order));
        buf_escaped(out, order->name);
        buf_cstr(out, order->failed ? ", fails\n" : "\n");
    }
}

int simulate_text_print(const struct simulation *s, struct buf *out)
{
    buf_printf(out, "%u day%s from %s, %zu name%s\n\n", s->days, s->days == 1 ? "" : "s",
               clock_text(s->start).text, s->names, s->names == 1 ? "" : "s");
    print_table(s, out);
    buf_printf(out, "\nOrders: %llu, %llu failed; at most %u a day, on day %u (%.10s)\n",
               (unsigned long long)s->orders, (unsigned long long)s->failed,
               s->by_day[s->peak_day].orders, s->peak_day,
               clock_text(s->start + s->peak_day * DAY).text);
    print_slack(s, out);
    print_risks(s, out);
    print_sequence(s, out);
    return out->failed ? -1 : 0;
}

static void json_days(const struct simulation *s, struct json_out *j)
{
    json_out_member_array(j, "days");
    for (unsigned day = 0; day < s->days; day++) {
        json_out_object(j);
        json_out_member_int(j, "day", day);
        json_out_member_str(j, "date",
                            str_slice(str_from(clock_text(s->start + day * DAY).text), 0, 10));
        json_out_member_int(j, "orders", s->by_day[day].orders);
        json_out_member_int(j, "failed", s->by_day[day].failed);
        json_out_end(j);
    }
    json_out_end(j);
}

static void json_slack(const struct simulation *s, struct json_out *j)
{
    json_out_key(j, "smallest_slack");
    if (!s->has_slack) {
        json_out_null(j);
        return;
    }
    json_out_object(j);
    json_out_member_int(j, "seconds", s->smallest_slack);
    json_out_member_str(j, "name", s->slack_name);
    json_out_end(j);
}

static void json_risks(const struct simulation *s, struct json_out *j)
{
    json_out_member_array(j, "at_risk");
    for (size_t i = 0; i < s->risk_count; i++) {
        json_out_object(j);
        json_out_member_str(j, "name", s->risks[i].name);
        json_out_member_cstr(j, "fault", fault_word(s->risks[i].fault));
        json_out_member_time(j, "since", s->risks[i].since);
        json_out_member_cstr(j, "reason", plan_reason_id(s->risks[i].reason));
        json_out_end(j);
    }
    json_out_end(j);
}

static void json_sequence(const struct simulation *s, struct json_out *j)
{
    json_out_member_array(j, "sequence");
    for (size_t i = 0; i < s->orders; i++) {
        json_out_object(j);
        json_out_member_time(j, "at", s->sequence[i].at);
        json_out_member_cstr(j, "action", order_word(&s->sequence[i]));
        json_out_member_str(j, "name", s->sequence[i].name);
        json_out_member_bool(j, "failed", s->sequence[i].failed);
        json_out_end(j);
    }
    json_out_end(j);
}

int simulate_text_print_json(const struct simulation *s, struct buf *out)
{
    struct json_out j = json_out_pretty(out);

    json_out_object(&j);
    json_out_member_int(&j, "format", 1);
    json_out_member_time(&j, "start", s->start);
    json_out_member_int(&j, "names", (int64_t)s->names);
    json_out_member_int(&j, "orders", (int64_t)s->orders);
    json_out_member_int(&j, "failed", (int64_t)s->failed);
    json_out_member_object(&j, "peak");
    json_out_member_int(&j, "day", s->peak_day);
    json_out_member_int(&j, "orders", s->by_day[s->peak_day].orders);
    json_out_end(&j);
    json_slack(s, &j);
    json_risks(s, &j);
    json_days(s, &j);
    if (s->sequence)
        json_sequence(s, &j);
    json_out_end(&j);
    buf_char(out, '\n');
    return out->failed ? -1 : 0;
}
