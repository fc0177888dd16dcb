//! The columns against those of HAProxy 3.4.0: which object has which, in which order, with which letters and type.
//!
//! Recorded from the idle 3.4.0 with the configuration of `fixture`. Columns 118 to 135 (TLS, HTTP/2) are left
//! out: there they hold 0, here they are empty.

use super::dump::{Bound, Format, InfoOptions, StatDump, StatOptions, info};
use super::info::FIELDS;
use super::rows::{MODULE_COLUMNS, PROXY_COLUMNS};
use crate::model::listener::Level;
use crate::ops::fixture::Stage;

const FRONTEND: &str = "\
    0:KNSV:str 1:KNSV:str 4:MGPV:u32 5:MMPV:u32 6:CLPV:u32 7:MCPP:u64 8:MCPP:u64 9:MCPP:u64 10:MCPP:u64 \
    11:MCPP:u64 12:MCPP:u64 17:SGPV:str 26:KGPV:u32 27:KGSV:u32 28:KGSV:u32 32:CGSV:u32 33:MRPP:u32 \
    34:CLPV:u32 35:MMPV:u32 39:MCPP:u64 40:MCPP:u64 41:MCPP:u64 42:MCPP:u64 43:MCPP:u64 44:MCPP:u64 \
    46:MRPP:u32 47:MMPV:u32 48:MCPP:u64 51:MCPP:u64 52:MCPP:u64 53:MCPP:u64 54:MCPP:u64 75:CGSV:str \
    77:MRPP:u32 78:MMPV:u32 79:MCPP:u64 80:MCPP:u64 81:MCPP:u64 82:MCPP:u64 83:MCPP:u64 86:MCPP:u64 \
    87:MCPP:u64 94:MCPP:u64 104:MCPV:u64 105:MCPP:u64 106:MCPP:u64 107:MCPP:u64 108:MCPP:u64 \
    109:MCPP:u64 110:MCPP:u64 111:MCPP:u64 114:MCPP:u64 115:MCPP:u64 116:MCPP:u64 117:MCPP:u64 \
    136:MGPV:u64 137:MGPV:u64 138:MCPV:u64 139:MCPV:u64 140:MCPV:u64 141:MCPV:u64 142:MCPV:u64 \
    143:MCPV:u64";

const LISTENER: &str = "\
    0:KNSV:str 1:KNSV:str 4:MGPV:u32 5:MMPV:u32 6:CLPV:u32 7:MCPP:u64 8:MCPP:u64 9:MCPP:u64 10:MCPP:u64 \
    11:MCPP:u64 12:MCPP:u64 17:SGPV:str 26:KGPV:u32 27:KGSV:u32 28:KGSV:u32 32:CGSV:u32 73:CGSV:str \
    75:CGSV:str 79:MCPP:u64 81:MCPP:u64 82:MCPP:u64 83:MCPP:u64 94:MCPP:u64 112:SGPV:str 114:MCPP:u64 \
    115:MCPP:u64 116:MCPP:u64 117:MCPP:u64";

const SERVER: &str = "\
    0:KNSV:str 1:KNSV:str 2:MGPV:u32 3:MMPV:u32 4:MGPV:u32 5:MMPV:u32 7:MCPP:u64 8:MCPP:u64 9:MCPP:u64 \
    11:MCPP:u64 13:MCPP:u64 14:MCPP:u64 15:MCPP:u64 16:MCPP:u64 17:SGPV:str 18:MaPV:u32 19:SGPV:u32 \
    20:SGPV:u32 23:MAPP:u32 26:KGPV:u32 27:KGSV:u32 28:KGSV:u32 30:MCPP:u64 32:CGSV:u32 33:MRPP:u32 \
    35:MMPV:u32 39:MCPP:u64 40:MCPP:u64 41:MCPP:u64 42:MCPP:u64 43:MCPP:u64 44:MCPP:u64 48:MCPP:u64 \
    49:MCPP:u64 50:MCPP:u64 55:MAPP:s32 58:MaPV:u32 59:MaPV:u32 60:MaPV:u32 61:MaPV:u32 73:CGSV:str \
    75:CGSV:str 83:MCPP:u64 84:MCPP:u64 85:MCPP:u64 88:MGPV:u32 90:MMPV:u32 91:MMPV:u32 92:MMPV:u32 \
    93:MMPV:u32 94:MCPP:u64 95:MGPV:u32 96:MGPV:u32 97:MGPV:u32 98:MGPV:u32 99:MaPV:u32 103:MCPV:u32 \
    113:MGPV:u32 114:MCPP:u64 115:MCPP:u64 116:MCPP:u64 117:MCPP:u64";

const BACKEND: &str = "\
    0:KNSV:str 1:KNSV:str 2:MGPV:u32 3:MMPV:u32 4:MGPV:u32 5:MMPV:u32 6:CLPV:u32 7:MCPP:u64 8:MCPP:u64 \
    9:MCPP:u64 10:MCPP:u64 11:MCPP:u64 13:MCPP:u64 14:MCPP:u64 15:MCPP:u64 16:MCPP:u64 17:SGPV:str \
    18:MaPV:u32 19:MGPV:u32 20:MGPV:u32 22:MCPP:u64 23:MAPP:u32 24:MCPV:u32 26:KGPV:u32 27:KGSV:u32 \
    28:KGSV:u32 30:MCPP:u64 32:CGSV:u32 33:MRPP:u32 35:MGPV:u32 39:MCPP:u64 40:MCPP:u64 41:MCPP:u64 \
    42:MCPP:u64 43:MCPP:u64 44:MCPP:u64 48:MCPP:u64 49:MCPP:u64 50:MCPP:u64 51:MCPP:u64 52:MCPP:u64 \
    53:MCPP:u64 54:MCPP:u64 55:MAPP:s32 58:MaPV:u32 59:MaPV:u32 60:MaPV:u32 61:MaPV:u32 75:CGSV:str \
    76:CGSV:str 83:MCPP:u64 84:MCPP:u64 85:MCPP:u64 86:MCPP:u64 87:MCPP:u64 90:MMPV:u32 91:MMPV:u32 \
    92:MMPV:u32 93:MMPV:u32 94:MCPP:u64 99:MaPV:u32 100:MGPV:u32 101:MGPV:u32 102:MGPV:u32 114:MCPP:u64 \
    115:MCPP:u64 116:MCPP:u64 117:MCPP:u64 136:MGPV:u64 137:MGPV:u64 138:MCPV:u64 139:MCPV:u64 \
    140:MCPV:u64 141:MCPV:u64 142:MCPV:u64 143:MCPV:u64";

/// The line of names.
const HEADER: &str = "# \
    pxname,svname,qcur,qmax,scur,smax,slim,stot,bin,bout,dreq,dresp,ereq,econ,eresp,wretr,wredis,status,\
    weight,act,bck,chkfail,chkdown,lastchg,downtime,qlimit,pid,iid,sid,throttle,lbtot,tracked,type,rate,\
    rate_lim,rate_max,check_status,check_code,check_duration,hrsp_1xx,hrsp_2xx,hrsp_3xx,hrsp_4xx,\
    hrsp_5xx,hrsp_other,hanafail,req_rate,req_rate_max,req_tot,cli_abrt,srv_abrt,comp_in,comp_out,\
    comp_byp,comp_rsp,lastsess,last_chk,last_agt,qtime,ctime,rtime,ttime,agent_status,agent_code,\
    agent_duration,check_desc,agent_desc,check_rise,check_fall,check_health,agent_rise,agent_fall,\
    agent_health,addr,cookie,mode,algo,conn_rate,conn_rate_max,conn_tot,intercepted,dcon,dses,wrew,\
    connect,reuse,cache_lookups,cache_hits,srv_icur,src_ilim,qtime_max,ctime_max,rtime_max,ttime_max,\
    eint,idle_conn_cur,safe_conn_cur,used_conn_cur,need_conn_est,uweight,agg_server_status,\
    agg_server_check_status,agg_check_status,srid,sess_other,h1sess,h2sess,h3sess,req_other,h1req,h2req,\
    h3req,proto,priv_idle_cur,reqbin,reqbout,resbin,resbout,-,ssl_sess,ssl_reused_sess,\
    ssl_failed_handshake,ssl_ocsp_staple,ssl_failed_ocsp_staple,h2_headers_rcvd,h2_data_rcvd,\
    h2_settings_rcvd,h2_rst_stream_rcvd,h2_goaway_rcvd,h2_detected_conn_protocol_errors,\
    h2_detected_strm_protocol_errors,h2_rst_stream_resp,h2_goaway_resp,h2_open_connections,\
    h2_backend_open_streams,h2_total_connections,h2_backend_total_streams,h1_open_connections,\
    h1_open_streams,h1_total_connections,h1_total_streams,h1_bytes_in,h1_bytes_out,h1_spliced_bytes_in,\
    h1_spliced_bytes_out,";

/// The fields of `show info`, blanks in names replaced.
const INFO: &str = "\
    0.Name:POSV:str 1.Version:POSV:str 2.Release_date:POSV:str 3.Nbthread:CGSV:u32 4.Nbproc:CGSV:u32 \
    5.Process_num:KGPV:u32 6.Pid:SGPV:u32 7.Uptime:MDPV:str 8.Uptime_sec:MDPV:u32 9.Memmax_MB:CLPV:u32 \
    10.PoolAlloc_MB:MGPV:u32 11.PoolUsed_MB:MGPV:u32 12.PoolFailed:MCPV:u32 13.Ulimit-n:CLPV:u32 \
    14.Maxsock:CLPV:u32 15.Maxconn:CLPV:u32 16.Hard_maxconn:CLPV:u32 17.CurrConns:MGPV:u32 \
    18.CumConns:MCPV:u32 19.CumReq:MCPV:u32 20.MaxSslConns:MMPV:u32 21.CurrSslConns:MGPV:u32 \
    22.CumSslConns:MCPV:u32 23.Maxpipes:CLPV:u32 24.PipesUsed:MGPV:u32 25.PipesFree:MGPV:u32 \
    26.ConnRate:MRPV:u32 27.ConnRateLimit:CLPV:u32 28.MaxConnRate:MMPV:u32 29.SessRate:MRPV:u32 \
    30.SessRateLimit:CLPV:u32 31.MaxSessRate:MRPV:u32 32.SslRate:MRPV:u32 33.SslRateLimit:CLPV:u32 \
    34.MaxSslRate:MMPV:u32 35.SslFrontendKeyRate:MGPV:u32 36.SslFrontendMaxKeyRate:MMPV:u32 \
    37.SslFrontendSessionReuse_pct:MGPV:u32 38.SslBackendKeyRate:MRPV:u32 \
    39.SslBackendMaxKeyRate:MMPV:u32 40.SslCacheLookups:MCPV:u32 41.SslCacheMisses:MCPV:u32 \
    42.CompressBpsIn:MRPV:u32 43.CompressBpsOut:MRPV:u32 44.CompressBpsRateLim:CLPV:u32 \
    47.Tasks:MGPV:u32 48.Run_queue:MGPV:u32 49.Idle_pct:MaPV:u32 50.node:COSV:str 52.Stopping:MGPV:u32 \
    53.Jobs:MGPV:u32 54.Unstoppable_Jobs:MGPV:u32 55.Listeners:MGPV:u32 56.ActivePeers:MGPV:u32 \
    57.ConnectedPeers:MGPV:u32 58.DroppedLogs:MGPV:u32 59.BusyPolling:MGPV:u32 \
    60.FailedResolutions:MGPV:u32 61.TotalBytesOut:MGPV:u64 62.TotalSplicedBytesOut:MGPV:u64 \
    63.BytesOutRate:MRPV:u64 64.DebugCommandsIssued:MGPV:u32 65.CumRecvLogs:MCPV:u32 \
    66.Build_info:POSV:str 67.Memmax_bytes:CLPV:u32 68.PoolAlloc_bytes:MGPV:u64 \
    69.PoolUsed_bytes:MGPV:u64 70.Start_time_sec:MDPV:u32 71.Tainted:SGPV:str 72.TotalWarnings:MCPV:u32 \
    73.MaxconnReached:MCPV:u32 74.BootTime_ms:MDPV:u32 75.Niced_tasks:MGPV:u32 76.CurrStreams:MGPV:u64 \
    77.CumStreams:MGPV:u64 78.BlockedTrafficWarnings:MGPV:u32 79.PatternsAdded:MGPV:u64 \
    80.PatternsFreed:MGPV:u64 81.NbThreadGroups:CGSV:u32";

fn stat(options: StatOptions) -> String {
    let mut stage = Stage::new();
    let cx = stage.cx();
    let mut dump = StatDump::new(options);
    let mut out = Vec::new();
    while dump.step(&cx, &mut out) {}
    String::from_utf8(out).unwrap()
}

fn options(format: Format) -> StatOptions {
    StatOptions {
        format,
        level: Level::Admin,
        ..StatOptions::default()
    }
}

/// `position:letters:type` of every field of one object, as recorded above.
fn shape(typed: &str, object: &str) -> String {
    let fields = typed.lines().filter_map(|line| line.strip_prefix(object));
    let shapes: Vec<String> = fields
        .map(|line| {
            let (place, rest) = line.split_once(':').unwrap();
            let mut rest = rest.split(':');
            let number = place.split('.').next().unwrap();
            format!("{number}:{}:{}", rest.next().unwrap(), rest.next().unwrap())
        })
        .collect();
    shapes.join(" ")
}

fn without(recorded: &str, numbers: &[usize]) -> String {
    let kept = recorded.split(' ').filter(|shape| {
        let number: usize = shape.split(':').next().unwrap().parse().unwrap();
        !numbers.contains(&number)
    });
    kept.collect::<Vec<_>>().join(" ")
}

#[test]
fn columns_are_those_of_the_reference() {
    assert_eq!((PROXY_COLUMNS.len(), MODULE_COLUMNS.len()), (118, 26));
    assert_eq!(stat(options(Format::Plain)).lines().next(), Some(HEADER));
}

#[test]
fn each_kind_of_object_has_its_fields() {
    let typed = stat(options(Format::Typed));
    assert_eq!(shape(&typed, "F.2.0."), FRONTEND);
    assert_eq!(shape(&typed, "L.2.1."), LISTENER);
    assert_eq!(shape(&typed, "S.3.1."), SERVER);
    assert_eq!(shape(&typed, "B.3.0."), BACKEND);
    // Without servers there is no time down.
    assert_eq!(shape(&typed, "B.4.0."), without(BACKEND, &[24]));
    // TCP mode has no HTTP counters.
    assert_eq!(
        shape(&typed, "F.5.0."),
        without(FRONTEND, &[39, 40, 41, 42, 43, 44, 80, 86, 87])
    );
    assert_eq!(shape(&typed, "L.5.1."), LISTENER);
    assert_eq!(
        shape(&typed, "S.5.1."),
        without(SERVER, &[39, 40, 41, 42, 43, 44, 48])
    );
    assert_eq!(
        shape(&typed, "B.5.0."),
        without(BACKEND, &[39, 40, 41, 42, 43, 44, 48, 86, 87])
    );
}

#[test]
fn csv_lines_as_recorded() {
    let csv = stat(options(Format::Plain));
    let starts = [
        "fe,FRONTEND,,,0,0,9984,0,0,0,0,0,0,,,,,OPEN,,,,,,,,,1,2,0,,,,0,0,0,0,,,,0,0,0,0,0,0,,0,0,0,,,0,0,0,0,,,,,",
        "fe,sock-1,,,0,0,0,0,0,0,0,0,0,,,,,OPEN,,,,,,,,,1,2,1,,,,3,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,127.0.0.1:18301,",
        "be,s1,0,0,0,0,,0,0,0,,0,,0,0,0,0,no check,1,1,0,,,4,,,1,3,1,,0,,2,0,,0,,,,0,0,0,0,0,0,,,,0,0,0,,,,,-1,,,0,0,0,0,",
        "be,s2,0,0,0,0,10,0,0,0,,0,,0,0,0,0,MAINT,3,0,1,,,4,,8,1,3,2,,0,,2,0,,0,,,,0,0,0,0,0,0,,,,0,0,0,,,,,-1,,,0,0,0,0,",
        "be,BACKEND,0,0,0,0,999,0,0,0,0,0,,0,0,0,0,UP,1,1,0,,0,4,0,,1,3,0,,0,,1,0,,0,,,,0,0,0,0,0,0,,,,0,0,0,0,0,0,0,-1,",
        "empty,BACKEND,0,0,0,0,999,0,0,0,0,0,,0,0,0,0,UP,0,0,0,,0,4,,,1,4,0,,0,,1,0,,0,,,,0,0,0,0,0,0,,,,0,0,0,0,0,0,0,-1,",
        "tcpl,FRONTEND,,,0,0,9984,0,0,0,0,0,0,,,,,OPEN,,,,,,,,,1,5,0,,,,0,0,0,0,,,,,,,,,,,0,0,0,,,0,0,0,0,,,,,",
        "tcpl,lname,,,0,0,0,0,0,0,0,0,0,,,,,OPEN,,,,,,,,,1,5,1,,,,3,,,,,,",
        "tcpl,t1,0,0,0,0,,0,0,0,,0,,0,0,0,0,no check,1,1,0,,,4,,,1,5,1,,0,,2,0,,0,,,,,,,,,,,,,,0,0,,,,,-1,,,0,0,0,0,",
        "tcpl,BACKEND,0,0,0,0,999,0,0,0,0,0,,0,0,0,0,UP,1,1,0,,0,4,0,,1,5,0,,0,,1,0,,0,,,,,,,,,,,,,,0,0,0,0,0,0,-1,,,0,",
    ];
    let lines: Vec<&str> = csv.lines().skip(1).collect();
    assert_eq!(lines.len(), starts.len());
    for (line, start) in lines.iter().zip(starts) {
        assert!(line.starts_with(start), "{line}\n{start}");
        assert!(line.contains(",-,") && line.ends_with(','), "{line}");
        assert_eq!(line.matches(',').count(), 145);
    }
}

#[test]
fn users_see_no_addresses() {
    let user = StatOptions {
        level: Level::User,
        ..options(Format::Typed)
    };
    let typed = stat(user);
    assert!(!typed.contains(".addr.1:") && !typed.contains(".algo.1:"));
}

#[test]
fn bounds_and_filters() {
    let bound = |proxy, kinds, object| StatOptions {
        bound: Bound { proxy, kinds, object },
        ..options(Format::Plain)
    };
    let names = |options| {
        let out = stat(options);
        let names: Vec<String> = out
            .lines()
            .skip(1)
            .map(|l| l.split(',').nth(1).unwrap().to_owned())
            .collect();
        names.join(" ")
    };
    assert_eq!(names(bound(3, -1, -1)), "s1 s2 BACKEND");
    assert_eq!(names(bound(3, 4, 2)), "s2");
    assert_eq!(names(bound(-1, 1, -1)), "FRONTEND FRONTEND");
    assert_eq!(names(bound(-1, 8, -1)), "sock-1 lname");
    assert_eq!(names(bound(99, -1, -1)), "");
    let up = StatOptions {
        hide_down: true,
        ..bound(3, -1, -1)
    };
    let out = stat(up);
    assert!(out.contains("\nbe,s1,") && !out.contains("\nbe,s2,") && out.contains(",UP (1/2),"));
}

#[test]
fn json_nests_one_array_per_object() {
    let json = stat(options(Format::Json));
    assert!(json.starts_with(
        "[[{\"objType\":\"Frontend\",\"proxyId\":2,\"id\":0,\"field\":{\"pos\":0,\"name\":\"pxname\"}"
    ));
    assert!(json.ends_with("}}]]\n"));
    assert_eq!(json.matches("],[").count(), 9);
}

fn info_text(options: InfoOptions) -> String {
    let mut stage = Stage::new();
    let mut out = Vec::new();
    info(options, &stage.cx(), &mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn info_fields_are_those_of_the_reference() {
    let typed = InfoOptions {
        format: Format::Typed,
        ..InfoOptions::default()
    };
    let shapes: Vec<String> = info_text(typed)
        .lines()
        .map(|line| {
            let mut parts = line.splitn(4, ':');
            let place = parts.next().unwrap().trim_end_matches(".1").replace(' ', "_");
            format!("{place}:{}:{}", parts.next().unwrap(), parts.next().unwrap())
        })
        .collect();
    assert_eq!(shapes.join(" "), INFO);
    assert_eq!(FIELDS.len(), 82);
}

#[test]
fn info_plain_and_float() {
    let plain = info_text(InfoOptions::default());
    assert!(plain.starts_with("Name: HAProxy\nVersion: 3.4.0"));
    assert!(plain.contains("\nUptime: 0d 0h00m05s\nUptime_sec: 5\n"));
    assert!(plain.contains("\nPoolAlloc_bytes: 65536\nPoolUsed_bytes: 32768\n"));
    let float = info_text(InfoOptions {
        float: true,
        ..InfoOptions::default()
    });
    assert!(float.contains("\nUptime_sec: 5\n"));
    let docs = info_text(InfoOptions {
        docs: true,
        ..InfoOptions::default()
    });
    assert!(docs.lines().all(|line| line.ends_with('"')));
}
