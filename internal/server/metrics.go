package server

import (
	"context"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/watchword-auth/watchword/internal/jobs"
)

// meters are what the server itself counts. Every label has few values, none of
// them made of what a client says.
type meters struct {
	http   *prometheus.HistogramVec
	pushes *prometheus.CounterVec
}

func newMeters() meters {
	return meters{
		http: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "watchword_http_request_seconds", Help: "Time to answer, by route and class of status. Requests that wait for a phone are held up to 25 s.",
			Buckets: []float64{.001, .005, .02, .1, .5, 2, 10, 30},
		}, []string{"route", "class"}),
		pushes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "watchword_messages_total", Help: "Attempts to send a push, a mail or a text message, by channel and what became of them.",
		}, []string{"channel", "outcome"}),
	}
}

func (s *Server) registry() *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), s.meters.http, s.meters.pushes,
		gathered{s},
		prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "watchword_db_transactions_total", Help: "Committed write transactions."},
			func() float64 { return float64(s.Kit.DB.Commits()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "watchword_held_requests", Help: "Browsers' requests that are held open until something happens."},
			func() float64 { return float64(s.Engine.Held()) }))
	return r
}

// gathered asks, when it is scraped, what others count. What cannot be asked,
// because the database is away, is left out.
type gathered struct{ s *Server }

var (
	eventsDesc = prometheus.NewDesc("watchword_events_total",
		"What this process put into the audit record: push.approved, push.denied, journey.completed, journey.rejected, auth.*.failed …", []string{"type", "outcome"}, nil)
	jobsDesc   = prometheus.NewDesc("watchword_jobs", "Jobs that wait or run, and jobs that were given up and wait for a person.", []string{"state"}, nil)
	jobAgeDesc = prometheus.NewDesc("watchword_jobs_oldest_seconds", "How long the oldest job that is due has been waiting.", nil, nil)
)

// Describe is part of prometheus.Collector.
func (g gathered) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{eventsDesc, jobsDesc, jobAgeDesc} {
		ch <- d
	}
}

// Collect is part of prometheus.Collector.
func (g gathered) Collect(ch chan<- prometheus.Metric) {
	for name, n := range g.s.Kit.DB.Counts() {
		what, outcome, _ := strings.Cut(name, " ")
		ch <- prometheus.MustNewConstMetric(eventsDesc, prometheus.CounterValue, float64(n), what, outcome)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	b, err := jobs.Survey(ctx, g.s.Kit.DB)
	if err != nil {
		return
	}
	for state, n := range map[string]int{"ready": b.Ready, "parked": b.Parked} {
		ch <- prometheus.MustNewConstMetric(jobsDesc, prometheus.GaugeValue, float64(n), state)
	}
	age := 0.0
	if !b.Oldest.IsZero() {
		age = max(0, g.s.Kit.DB.Now().Sub(b.Oldest).Seconds())
	}
	ch <- prometheus.MustNewConstMetric(jobAgeDesc, prometheus.GaugeValue, age)
}
